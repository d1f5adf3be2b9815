"""Gateways to Stripe's subscriptions and checkout pages."""
