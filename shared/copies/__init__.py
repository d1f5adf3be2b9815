"""Copies of other services' state, kept up to date by events."""
