"""The commands, one module for each.

A module imports boto3, pydantic, the CDK and services only inside its command: `ainexus --help` loads all modules.
"""
