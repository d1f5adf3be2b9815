"""HTTP in: parse, call one operation, answer. Each module is one function."""
