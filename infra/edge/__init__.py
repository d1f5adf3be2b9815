"""The API's deployment, made when all routes are there."""
