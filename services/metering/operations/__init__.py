"""What the metering service can do."""
