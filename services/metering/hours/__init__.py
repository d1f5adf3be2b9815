"""Closing hours, so that their usage is final."""
