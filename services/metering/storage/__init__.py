"""Storage in the bucket, metered in byte hours."""
