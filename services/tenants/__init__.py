"""Tenants: the organisations, their limits, users and projects."""
