"""Removal of a deleted tenant's data, with the certificate."""
