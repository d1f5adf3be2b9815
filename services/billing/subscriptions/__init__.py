"""Subscriptions: plan changes, checkout, portal, and duplicate subscriptions."""
