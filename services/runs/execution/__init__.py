"""Execution of runs: submission, the worker, cancellation, tool outputs, waiting and recovery."""
