"""Errors on this machine, with messages that state the next step.

LocalError
├── NotInstalled       an environment is missing or cannot be created
├── PortTaken          another program listens on the engine's port
├── EngineDied         the engine ended or does not respond
├── StripeDied         the local Stripe ended or does not respond
└── DeploymentFailed   a stack could not be deployed
"""


class LocalError(Exception):
    """The base class. Its message is one or a few lines for the user."""


class NotInstalled(LocalError):
    """An environment is missing or cannot be created."""


class PortTaken(LocalError):
    """Another program listens on the engine's port."""


class EngineDied(LocalError):
    """The engine ended or does not respond."""


class StripeDied(LocalError):
    """The local Stripe ended or does not respond."""


class DeploymentFailed(LocalError):
    """A stack could not be deployed."""
