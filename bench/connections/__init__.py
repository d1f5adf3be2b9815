"""The connections of `shared/aws` against other HTTP clients: `python -m bench.connections`."""
