"""One attacker and three victims on the running mesh: no tenant can hurt another."""
