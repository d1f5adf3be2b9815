"""The command line, without a mesh."""
