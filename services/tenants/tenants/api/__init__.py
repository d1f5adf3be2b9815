"""HTTP APIs of tenants: for their own users, and for operators."""
