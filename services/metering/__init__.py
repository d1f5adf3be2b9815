"""Metering: counts each usage event exactly once, in a ledger and in hourly counters."""
