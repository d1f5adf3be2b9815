"""The demo, on a mesh made of prepared responses."""
