"""Copies of agents and their versions, and the configs that runs are pinned to."""
