"""Tests of lints."""
