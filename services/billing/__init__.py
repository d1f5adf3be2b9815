"""Billing: customers, their plans and invoices, and the usage that Stripe charges for."""
