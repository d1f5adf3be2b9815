"""Streams of runs."""
