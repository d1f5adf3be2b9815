"""Publication of the events in the outboxes of all services."""
