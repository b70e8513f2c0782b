"""The lending rules, pure: one rule family per file, every number from a dated policy."""
