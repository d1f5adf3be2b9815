"""Usage sync: hourly usage, booked into the sync ledger and sent to Stripe exactly once."""
