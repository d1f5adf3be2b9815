"""Tests of billing's usage_sync."""
