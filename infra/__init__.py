"""The mesh on AWS, and on one machine: the same stacks."""
