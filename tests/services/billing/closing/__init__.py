"""Tests of billing's closing."""
