"""Stripe API: the keys, the SDK's client with its errors, and the circuit breaker for outages."""
