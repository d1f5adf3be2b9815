"""Tests of `shared.copies`."""
