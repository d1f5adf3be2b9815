"""The soak: mixed load of several tenants while a function process is killed every few seconds (`make soak`)."""
