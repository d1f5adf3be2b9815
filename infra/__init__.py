"""The mesh on AWS and on one machine, from the same stacks."""
