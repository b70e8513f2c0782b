"""Says whether a borrower's information is true and how good the borrower is; it never decides whether to lend."""
