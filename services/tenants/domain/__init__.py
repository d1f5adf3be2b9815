"""Tenants, users and projects, and the rules they keep."""
