"""Tests of billing's subscriptions."""
