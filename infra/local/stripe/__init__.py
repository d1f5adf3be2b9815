"""A Stripe for this machine: a test double with the wire format of the real one. Its manual is README.md."""
