"""Final statuses and durations of runs."""
