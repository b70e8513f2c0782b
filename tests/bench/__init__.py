"""Measurements of what must stay quick, each beside the bare work it is compared with in the same run."""
