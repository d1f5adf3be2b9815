"""Deployment to AWS, and its removal."""
