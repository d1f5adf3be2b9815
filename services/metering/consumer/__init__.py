"""All that is not HTTP."""
