"""Keys and persistence of runs."""
