"""Datasets, their items, and the formats in which items are uploaded."""
