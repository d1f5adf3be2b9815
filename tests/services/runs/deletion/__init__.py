"""Deletion of runs."""
