"""Copies of agents and their configs."""
