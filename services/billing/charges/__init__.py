"""Charges: the bill of the current period so far, and its forecast."""
