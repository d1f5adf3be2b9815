"""The ledger, which counts each usage event exactly once."""
