"""Checks of a deployed mesh."""
