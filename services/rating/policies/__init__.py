"""The dated numbers of rating: tolerances, size bounds and the scorecard, one complete file per version."""
