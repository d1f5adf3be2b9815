"""The rules of the linter, their evaluation, and the gate before a version goes live."""
