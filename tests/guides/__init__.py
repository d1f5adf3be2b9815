"""What the guides say can be done as they say it."""
