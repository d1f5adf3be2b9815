"""The version of ainexus, for the API, the command line, the package and the changelog."""

VERSION = "1.0.0"
