"""Tests of the rule for base URLs."""
