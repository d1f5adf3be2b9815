"""The rules of hours, counters and roll-ups."""
