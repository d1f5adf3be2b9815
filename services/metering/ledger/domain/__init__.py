"""Ledger entries, and the rules by which they are counted."""
