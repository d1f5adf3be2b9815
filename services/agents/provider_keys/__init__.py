"""A tenant's own keys for providers, stored in Secrets Manager."""
