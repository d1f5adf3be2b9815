"""Agents: named configurations with immutable versions, one of which is live."""
