"""Metering: every use counted exactly once, in a ledger and in counters by the hour."""
