"""Retries, cost limits and structured output."""
