"""The cost of a million runs on AWS: counted calls times list prices."""
