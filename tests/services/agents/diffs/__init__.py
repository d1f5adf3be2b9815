"""Tests of provider keys."""
