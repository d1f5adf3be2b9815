"""JSON Schemas of agents: of their structured responses and of the arguments of their tools."""
