"""Export of a service's data of one tenant to the bucket, as JSON lines."""
