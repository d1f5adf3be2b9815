"""What the tenants service can do: load, decide, save."""
