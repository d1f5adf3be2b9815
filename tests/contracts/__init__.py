"""The event contracts: what was once said keeps its meaning."""
