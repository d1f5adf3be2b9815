"""Exports of a tenant's data, which every service writes."""
