"""Reservation, settlement, slots, the sweep of budgets and their correction."""
