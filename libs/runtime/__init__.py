"""The plumbing: the only code that knows the frameworks' edges (PostgreSQL, Kafka, HTTP, time, configuration)."""
