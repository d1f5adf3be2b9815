"""Load on the local mesh: the API asked by many at once, in stages."""
