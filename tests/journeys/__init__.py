"""Journeys: what a user does, over real HTTP, on the deployed mesh."""
