"""What changes state in lending: one command, one function, one transaction."""
