"""Everything that changes collateral's state: one function, one transaction; facts that come early are kept."""
