"""Tests of billing's sweep."""
