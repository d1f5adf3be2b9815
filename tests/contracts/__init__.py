"""Tests of the event contracts: published schemas stay compatible."""
