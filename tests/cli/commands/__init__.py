"""The commands, without a mesh."""
