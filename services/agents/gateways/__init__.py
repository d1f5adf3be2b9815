"""The outside system that this service calls: the vault of the tenants' own keys."""
