"""Invoices: copies of Stripe's invoices, and the usage behind their lines."""
