"""The dated numbers of collateral: one complete TOML file per version, never edited once in force."""
