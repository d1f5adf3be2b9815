"""Tests of billing's reconciliation."""
