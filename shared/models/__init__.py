"""Facts about models: their names, hosts and capabilities, which several services use."""
