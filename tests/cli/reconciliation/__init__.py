"""Reconciliation of three services on tables in memory."""
