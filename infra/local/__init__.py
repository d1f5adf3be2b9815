"""The engine on this machine: installation, start, stop and deployment."""
