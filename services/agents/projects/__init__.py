"""The copies of projects, which agents and prompts can belong to."""
