"""Rules, findings and their formats."""
