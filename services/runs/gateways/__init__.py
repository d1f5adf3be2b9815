"""The outside systems that this service calls: models, and its own workers."""
