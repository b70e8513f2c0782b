"""How fast the platform is: every figure a ratio against a named baseline of the same run (`make bench`)."""
