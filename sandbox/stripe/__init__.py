"""The local Stripe: a test double with Stripe's wire format. README.md explains its use."""
