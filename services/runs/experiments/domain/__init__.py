"""Experiments, their trials, scores, statistics and verdicts."""
