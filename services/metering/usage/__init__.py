"""Usage by day and month."""
