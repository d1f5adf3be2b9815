"""The run and its parts, its state transitions and its events."""
