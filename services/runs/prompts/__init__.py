"""Copies of prompts and their versions, and the system prompts that are rendered from them."""
