"""Storage of tenants, their settings and counts."""
