"""Runs and their table."""
