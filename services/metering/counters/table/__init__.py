"""The items of counters and roll-ups."""
