"""Experiments, their trials and their statistics."""
