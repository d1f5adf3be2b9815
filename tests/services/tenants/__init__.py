"""Tenants, users and projects."""
