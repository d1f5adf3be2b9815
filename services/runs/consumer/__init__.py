"""All that is not HTTP: the queue of runs and direct invocations, the events of other services, the reaper."""
