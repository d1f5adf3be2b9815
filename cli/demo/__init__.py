"""The demo: a mesh that is used step by step, with checked results."""
