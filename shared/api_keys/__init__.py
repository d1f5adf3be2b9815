"""API keys: their text, and the items that the tenants service writes and the authorizer reads."""
