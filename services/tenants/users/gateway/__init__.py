"""The user pool: its interface, Amazon Cognito, and a fake."""
