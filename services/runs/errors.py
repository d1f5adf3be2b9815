"""What can go wrong with runs."""

from shared.errors import Conflict, InvalidRequest, LimitReached, NotFound


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


class CancelRequested(Exception):
    """The client has cancelled the run; nothing more may be sent."""


class ProviderFailed(Exception):
    """A call to a model did not end with an answer.

    Args:
        code: what the run will say, one of `ProviderRejected`, `ProviderUnauthorized`, `ProviderModelNotFound`,
            `ProviderRateLimited`, `ProviderUnavailable`, `ProviderTimeout`, `ConnectionFailed`, `StreamTruncated`,
            `StreamCorrupt`, `ProviderNotConfigured`.
        message: for the user; never holds a key, nor what a provider sent back beyond its own error message.
        retry: whether the same call may succeed a moment later.
        retry_after_s: when the provider asks to be called again.
        usage_known: whether the provider certainly counted nothing but what it said (`Counted`); False when it may
            have gone on working.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retry: bool = False,
        retry_after_s: float | None = None,
        usage_known: bool = True,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retry = retry
        self.retry_after_s = retry_after_s
        self.usage_known = usage_known


class ProviderNotConfigured(ProviderFailed):
    """There is no key for this provider."""

    def __init__(self, provider: str) -> None:
        super().__init__("ProviderNotConfigured", f"There is no key for the provider {provider}.")


class StreamTruncated(ProviderFailed):
    """The answer ended without its terminal event."""

    def __init__(self) -> None:
        super().__init__("StreamTruncated", "The provider's answer broke off.", retry=True, usage_known=False)


class RunAlreadyEnded(Conflict):
    """The run is in a final state, which never changes."""

    def __init__(self) -> None:
        super().__init__("The run has ended already.")


class RunNotEnded(Conflict):
    """Only a run that has ended can be deleted."""

    def __init__(self) -> None:
        super().__init__("The run has not ended; cancel it first.")


class StorageFull(LimitReached):
    """The tenant's runs store as much as its plan allows."""

    def __init__(self, allowed_gb: int) -> None:
        super().__init__(f"The plan allows {allowed_gb} GB of stored inputs and outputs: delete runs to make room.")


class ToolOutputsMismatch(InvalidRequest):
    """The outputs are not those that the run asks for."""

    def __init__(self) -> None:
        super().__init__("Give one output for each tool call that the run asks for, and no other.")
