"""The vocabulary every room shares: money, dated policy, calendar, refusals; plain Python, no input or output."""
