"""Journeys: end-to-end tests of user actions over real HTTP, on a deployed mesh."""
