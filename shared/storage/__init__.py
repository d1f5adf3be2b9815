"""Access to a slice: reads, and changes as transactions of state, outbox, inbox mark and idempotency record."""
