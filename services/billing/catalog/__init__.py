"""Catalog: the meters, products and prices at Stripe, set up from the plans file."""
