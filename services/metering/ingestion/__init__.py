"""Usage that other services and tenants report."""
