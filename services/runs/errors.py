"""What can go wrong with runs."""

from datetime import datetime

from shared.errors import (
    Conflict,
    DependencyUnavailable,
    Detail,
    InvalidRequest,
    LimitReached,
    NotFound,
    TooManyRequests,
)


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


class WorkerNotReached(Exception):
    """No worker has begun the run, and none will by this call."""


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

    def __init__(self, *, usage_known: bool = False) -> None:
        super().__init__("StreamTruncated", "The provider's answer broke off.", retry=True, usage_known=usage_known)


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


class RequestsUsedUp(LimitReached):
    """The month's requests are used up."""

    def __init__(self, resets_at: datetime) -> None:
        super().__init__("The requests of this month are used up.", resets_at=resets_at)


class TokensUsedUp(LimitReached):
    """Fewer of the month's tokens are left than the input may take."""

    def __init__(self, resets_at: datetime) -> None:
        super().__init__("Too few of this month's tokens are left for this call.", resets_at=resets_at)


class CostUsedUp(LimitReached):
    """Less is left of the run's `max_cost_usd` than the input may cost."""

    def __init__(self) -> None:
        super().__init__("Too little of the run's max_cost_usd is left for this call.")


class ModelWithoutPrice(InvalidRequest):
    """The run may cost so much only, and nobody knows what its model costs."""

    def __init__(self, model: str) -> None:
        message = f"The price of the model {model} is not known."
        super().__init__(message, [Detail("max_cost_usd", message)])


class TooManyOpenCalls(TooManyRequests):
    """As many calls of this tenant are waiting or under way as there may be."""

    def __init__(self) -> None:
        super().__init__("Too many runs of this tenant are under way; try again when some have ended.", retry_after_s=5)


class NoFreeSlot(Exception):
    """As many runs of the tenant execute as may; the next one waits in the tenant's own queue.

    Args:
        period: the month that holds the tenant's slots.
        limit: runs that may execute at once.
        waiting: runs that wait already.
        is_full: False where the slots that are free belong to runs that wait already.
    """

    def __init__(self, period: str, *, limit: int, waiting: int, is_full: bool) -> None:
        super().__init__(period)
        self.period = period
        self.limit = limit
        self.waiting = waiting
        self.is_full = is_full


class TooManyWaitingRuns(TooManyRequests):
    """As many runs of this tenant wait as may."""

    def __init__(self, waiting: int) -> None:
        message = f"{waiting} runs of this tenant are queued already; try again when some have ended."
        super().__init__(message, retry_after_s=10)


class BudgetMoved(DependencyUnavailable):
    """A budget was changed between its reading and its correction."""

    def __init__(self) -> None:
        super().__init__("The budget has changed meanwhile; look again.", retry_after_s=1)
