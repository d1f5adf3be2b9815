"""Customers, what they use and what that costs."""
