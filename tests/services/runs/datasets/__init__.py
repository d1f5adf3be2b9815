"""Datasets, their uploads and their items."""
