"""The models that a config may name."""
