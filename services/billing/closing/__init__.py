"""Closing: the end of a tenant, whose remaining usage is sent before its subscription ends."""
