"""Logs and traces of runs."""
