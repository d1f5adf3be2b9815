"""Reconciliation: comparison and repair of usage, sync ledger, Stripe's sums and invoices."""
