"""Lints of agents, prompts and configs: their routes, results and fixes."""
