"""Users of a tenant, and the user pool that is updated from them."""
