"""The local Stripe, driven by the official SDK and held against Stripe's own description."""
