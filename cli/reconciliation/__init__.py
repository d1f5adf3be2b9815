"""Comparison of the usage that the services have recorded."""
