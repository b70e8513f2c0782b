"""The rules of pay and accountability: pure functions over frozen rows, every number from a dated policy."""
