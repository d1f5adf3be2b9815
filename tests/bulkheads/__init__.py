"""One attacker and three victims on the running mesh: no tenant can impair the work of another."""
