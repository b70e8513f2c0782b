"""The rules of rating: authenticity, size class, scorecard and the dossier that waits for its facts; plain Python."""
