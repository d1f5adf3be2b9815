"""The request to a model and its streamed response, independent of the provider."""
