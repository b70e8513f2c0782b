"""Guarantee: partners, agreements and capacity, covers, premiums, claims and the sharing of what is recovered."""
