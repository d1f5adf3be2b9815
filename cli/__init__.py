"""The `ainexus` command line."""
