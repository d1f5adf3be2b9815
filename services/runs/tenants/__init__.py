"""Copies of tenants, and the stop of all runs of a tenant that is being deleted."""
