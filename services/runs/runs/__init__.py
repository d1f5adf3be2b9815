"""Runs with their attempts, calls and artifacts."""
