"""The engine on this machine, tested without the engine."""
