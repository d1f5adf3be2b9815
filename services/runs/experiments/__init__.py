"""Experiments: variants of agents compared on the items of a dataset, within a budget of their own."""
