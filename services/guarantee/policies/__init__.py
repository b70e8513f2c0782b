"""The dated numbers that guarantee decides with."""
