"""What all services speak: tenancy, events, storage, HTTP and messaging."""
