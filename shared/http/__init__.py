"""HTTP in and out: one application per service, one shape of answers and errors."""
