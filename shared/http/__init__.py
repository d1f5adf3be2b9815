"""HTTP requests and responses: one application per service, one format of responses and errors."""
