"""The API's deployment, created when all routes exist."""
