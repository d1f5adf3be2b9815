"""DynamoDB for tests: a table in memory, fault injection for any table, and tests of their conformance."""
