"""Tests of the text of API keys."""
