"""Provider SDKs, their connections, keys and prices."""
