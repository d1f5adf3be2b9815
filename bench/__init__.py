"""Benchmarks of the platform and of a peer; see README.md."""
