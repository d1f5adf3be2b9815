"""Tests of billing's stripe_webhooks."""
