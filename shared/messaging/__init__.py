"""Events out and in: the publisher, the consumers of queues, direct invocations and schedules."""
