"""The bundle of a function: the compiled closure of its modules and packages."""
