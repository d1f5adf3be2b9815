"""Server-sent events of a run."""
