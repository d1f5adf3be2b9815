"""Closing hours, and the other work of the same schedule."""
