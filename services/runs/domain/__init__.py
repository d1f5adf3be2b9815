"""Runs, attempts and calls, and the rules they keep: pure."""
