"""What can go wrong on this machine, said so that a person knows what to do next.

LocalError
├── NotInstalled       an environment is missing or cannot be made
├── PortTaken          another program listens where the engine should
├── EngineDied         the engine ended, or does not answer
├── StripeDied         the local Stripe ended, or does not answer
└── DeploymentFailed   a stack could not be brought up
"""


class LocalError(Exception):
    """The base; its text is one or a few lines for a person."""


class NotInstalled(LocalError):
    """An environment is missing or cannot be made."""


class PortTaken(LocalError):
    """Another program listens where the engine should."""


class EngineDied(LocalError):
    """The engine ended, or does not answer."""


class StripeDied(LocalError):
    """The local Stripe ended, or does not answer."""


class DeploymentFailed(LocalError):
    """A stack could not be brought up."""
