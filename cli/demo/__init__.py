"""The demo: a deployed mesh, used step by step and checked."""
