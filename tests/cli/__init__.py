"""The command line, tested without a mesh."""
