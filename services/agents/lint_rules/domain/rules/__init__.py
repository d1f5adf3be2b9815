"""The built-in rules, one module for each hundred of ids."""
