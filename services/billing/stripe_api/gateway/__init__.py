"""Access to Stripe: keys, client, and translation of its errors and objects."""
