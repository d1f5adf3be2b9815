"""The event contracts of the mesh: the envelope, and one module per owning service."""
