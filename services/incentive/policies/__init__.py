"""Dated policy files of incentive: one folder per policy, one complete TOML file per version."""
