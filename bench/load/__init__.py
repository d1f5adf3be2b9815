"""The load test of the local mesh: many simultaneous users, in stages."""
