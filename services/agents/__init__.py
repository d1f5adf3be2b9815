"""Agents and prompts: named configurations and templates with immutable versions, one of which is live."""
