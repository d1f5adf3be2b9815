"""The documentation site, built from the Markdown of the repository."""
