"""What changes guarantee's state, divided by the business: agreements, covers, claims."""
