"""Stripe webhooks: verified, stored and queued on receipt, handled later."""
