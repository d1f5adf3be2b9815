"""Calls to the providers of models."""
