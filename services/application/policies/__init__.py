"""The dated numbers of lending: one complete file per version, never edited once in force."""
