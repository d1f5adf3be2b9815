"""The caller of a request, its tenant and its permissions."""
