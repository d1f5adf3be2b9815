"""The deployed Lambda functions, each composed of its capabilities."""
