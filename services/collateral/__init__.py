"""Collateral: what is offered as security, what it is worth, whether it is perfected, and what it fetched."""
