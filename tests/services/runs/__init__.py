"""The runs service."""
