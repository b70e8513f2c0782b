"""A sandbox partner (insurer, guarantee company, re-guarantor, fund) that knows the platform by its public API only."""

from __future__ import annotations

KINDS = {"insurer": "anxin", "guarantor": "huiding", "reguarantor": "re-guarantor", "fund": "government"}
"""The partner of the generated branch that plays this part."""
