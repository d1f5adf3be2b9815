"""Tests of `shared.storage`."""
