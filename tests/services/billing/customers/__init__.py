"""Tests of billing's customers."""
