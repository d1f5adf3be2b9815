"""What the runs service can do: load, decide, save."""
