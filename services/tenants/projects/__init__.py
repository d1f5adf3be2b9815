"""Projects: folders of agents."""
