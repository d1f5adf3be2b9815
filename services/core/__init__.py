"""Core: health, the OpenAPI document, and the publication of every service's events."""
