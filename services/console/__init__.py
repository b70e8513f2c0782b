"""The operators' console: reads every topic into its own projection, shows it in two languages, and decides nothing."""
