"""Deployment to AWS, and removal."""
