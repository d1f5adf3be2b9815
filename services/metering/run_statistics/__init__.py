"""Statistics of finished runs, by day and agent."""
