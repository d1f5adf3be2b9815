"""The items of ledger entries, and the transaction that counts them."""
