"""The stop of the runs of a deleted tenant."""
