"""The five services, and core. None imports another."""
