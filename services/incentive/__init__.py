"""Incentive: what a loan's people earn, what is deferred, and who answers for a bad loan under the rules of its day."""
