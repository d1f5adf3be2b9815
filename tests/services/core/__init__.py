"""The core service."""
