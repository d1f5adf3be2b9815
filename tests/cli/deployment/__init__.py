"""Deployment to AWS, with recorded calls."""
