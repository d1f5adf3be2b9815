"""The engine on this machine: how it is installed, started, stopped and deployed to."""
