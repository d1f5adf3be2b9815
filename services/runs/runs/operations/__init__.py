"""Presentation of runs, the storage quota and reconciliation."""
