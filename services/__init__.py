"""The five services: the same files in each, none imports another."""
