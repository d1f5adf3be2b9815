"""Tenants with their limits, settings, suspensions and counts."""
