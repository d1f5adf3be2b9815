"""Functions that are killed at every call that they make, and what becomes of their runs."""
