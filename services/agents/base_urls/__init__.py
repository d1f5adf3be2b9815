"""Base URLs: the servers that a config or a provider key may name."""
