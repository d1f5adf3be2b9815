"""Deletion of ended runs and all their data."""
