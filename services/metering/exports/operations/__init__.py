"""Requesting and writing exports."""
