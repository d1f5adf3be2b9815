"""Counters of usage by hour, day and month."""
