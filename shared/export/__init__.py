"""Writing all that a service has of a tenant into the bucket, as JSON lines."""
