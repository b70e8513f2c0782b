"""Libraries under the services: kernel (words), events (contract), runtime (plumbing)."""
