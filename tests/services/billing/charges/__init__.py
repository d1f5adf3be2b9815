"""Tests of billing's charges."""
