"""Summaries of a tenant's month, and thresholds of its limits."""
