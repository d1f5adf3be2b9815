"""Shared code of all services: tenancy, events, storage, HTTP and messaging."""
