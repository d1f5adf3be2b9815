"""One way to read a slice, and one way to change it: a transaction of state, outbox, inbox mark and idempotency."""
