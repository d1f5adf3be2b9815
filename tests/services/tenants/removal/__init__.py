"""Tests of the removal of tenants."""
