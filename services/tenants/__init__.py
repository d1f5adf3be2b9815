"""Tenants: organizations with their limits, users and projects."""
