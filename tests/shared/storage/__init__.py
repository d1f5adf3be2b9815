"""One way to read a slice, and one to change it."""
