"""The deployed functions. Each module composes the routes, events or commands of the capabilities."""
