"""Stand-ins for outside systems, for development and tests on one machine."""
