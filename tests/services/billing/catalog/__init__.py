"""Tests of billing's catalog."""
