"""Differences between two versions of a document."""
