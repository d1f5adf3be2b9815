"""Budgets and slots."""
