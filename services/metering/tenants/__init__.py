"""Copies of the tenants' state."""
