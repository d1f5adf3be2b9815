"""The stand-ins for outside systems."""
