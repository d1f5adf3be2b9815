"""The archive of each day's ledger in the bucket."""
