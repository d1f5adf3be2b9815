"""The deployed functions of the metering service, one module each. They only compose the capabilities."""
