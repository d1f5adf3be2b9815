"""What the billing service can do: load, decide, save."""
