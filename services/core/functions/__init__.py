"""The Lambda functions of core, one module each."""
