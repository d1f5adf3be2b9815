"""The outside systems that this service calls, each with a fake beside it."""
