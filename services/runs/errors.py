"""What can go wrong with runs."""

from shared.errors import InvalidRequest, NotFound


class RunNotFound(NotFound):
    """There is no such run in this tenant."""

    def __init__(self) -> None:
        super().__init__("There is no such run.")


class AgentNotFound(NotFound):
    """There is no such agent in this tenant, or it was deleted."""

    def __init__(self) -> None:
        super().__init__("There is no such agent.")


class VersionNotFound(NotFound):
    """The agent has no such version."""

    def __init__(self) -> None:
        super().__init__("The agent has no such version.")


class BadRange(InvalidRequest):
    """The time range is empty."""

    def __init__(self) -> None:
        super().__init__("`from` must lie before `to`.")


class LeaseLost(Exception):
    """Another attempt has this run now; nothing that this one still does may count."""


class ProviderFailed(Exception):
    """A call to a model did not end with an answer.

    Args:
        code: what the run will say, for example `ProviderNotConfigured`.
        message: for the user; never holds a key or what a provider sent back.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ProviderNotConfigured(ProviderFailed):
    """There is no key for this provider."""

    def __init__(self, provider: str) -> None:
        super().__init__("ProviderNotConfigured", f"There is no key for the provider {provider}.")


class StreamTruncated(ProviderFailed):
    """The answer ended without its terminal event."""

    def __init__(self) -> None:
        super().__init__("StreamTruncated", "The provider's answer broke off.")
