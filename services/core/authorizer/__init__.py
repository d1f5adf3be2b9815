"""The authorizer: who calls the API, by an id token of the user pool or by an API key."""
