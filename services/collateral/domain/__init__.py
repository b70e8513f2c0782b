"""The rules of collateral: pure functions over frozen facts and dated terms."""
