"""Prompts: templates with immutable versions, one of which is live."""
