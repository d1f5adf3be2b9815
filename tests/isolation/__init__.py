"""Attacks on every route by another tenant, made from the OpenAPI document: all are blocked, their twins succeed."""
