"""The dashboard of a tenant."""
