"""The providers, by their real SDKs, against a server of our own that speaks what they speak."""
