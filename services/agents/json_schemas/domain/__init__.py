"""JSON Schemas in configs, and the limits of their check."""
