"""Types and rules of tenants."""
