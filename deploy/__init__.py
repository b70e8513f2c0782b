"""How the platform is run: the one-command local stack and the demo that drives it."""
