"""DynamoDB for tests: a table in memory, faults in front of any table, and what both are held to."""
