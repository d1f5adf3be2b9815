"""Domain of customers: the record of a tenant, its subscription and billing periods."""
