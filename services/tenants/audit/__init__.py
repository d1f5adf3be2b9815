"""The audit log of a tenant."""
