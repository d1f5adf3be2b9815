"""Tests of `shared.tenancy`."""
