"""The local Stripe, driven by the official SDK and validated against Stripe's own description."""
