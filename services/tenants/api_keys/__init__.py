"""API keys: how programs call the API without a user's password."""
