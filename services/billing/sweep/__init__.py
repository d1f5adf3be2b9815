"""Sweep: the work of all capabilities that is due, once a minute."""
