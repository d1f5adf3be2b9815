"""The shape of the code itself: what the spec of its structure promises, held by tests."""
