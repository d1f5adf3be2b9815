"""Tests of `shared.aws`."""
