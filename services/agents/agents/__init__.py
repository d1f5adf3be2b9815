"""Agents, their versions and the live alias."""
