"""What the tests share: a service on real PostgreSQL without a broker, and whole stacks with one."""
