"""Customers: billing's record of each tenant, with its current subscription."""
