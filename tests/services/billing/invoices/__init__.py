"""Tests of billing's invoices."""
