"""The deployed functions. Each module composes the capabilities of one function."""
