"""Exports of the ledger, for operators."""
