"""Runs: executions of agents, each call to a model leased, recorded and counted."""
