"""The process manager of a loan: people, application, decision, drawdown, account, classes, provisions, write-off."""
