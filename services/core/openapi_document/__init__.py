"""The OpenAPI document of all services."""
