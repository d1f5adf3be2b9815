"""Stripe, real and fake side by side."""
