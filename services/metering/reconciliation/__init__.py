"""Comparing counters with the ledger, and correcting them."""
