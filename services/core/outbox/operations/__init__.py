"""Publishing the events of the outboxes: those that a stream delivers, and those that it has lost."""
