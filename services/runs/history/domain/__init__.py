"""Logs and traces, derived from runs."""
