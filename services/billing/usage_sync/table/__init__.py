"""Hourly usage and the sync ledger."""
