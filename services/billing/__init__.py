"""Billing: what a tenant is billed by, and its customer record."""
