"""Errors of the runs service."""

from collections.abc import Sequence
from datetime import datetime

from shared.errors import (
    ChangedMeanwhile,
    Conflict,
    DependencyUnavailable,
    Detail,
    InvalidRequest,
    LimitReached,
    NotFound,
    Shortage,
    TooManyRequests,
)


class RunNotFound(NotFound):
    """The tenant has no such run."""

    def __init__(self) -> None:
        super().__init__("There is no such run.")


class RequestedAgentNotFound(NotFound):
    """The tenant has no such agent, or it was deleted."""

    def __init__(self) -> None:
        super().__init__("There is no such agent.")


class RequestedVersionNotFound(InvalidRequest):
    """The agent has no such version."""

    def __init__(self) -> None:
        message = "The agent has no such version."
        super().__init__(message, [Detail("version", message)])


class BadRange(InvalidRequest):
    """The time range is empty."""

    def __init__(self) -> None:
        super().__init__("`from` must be before `to`.")


class LeaseLost(Exception):
    """Another attempt has the run now, so nothing that this one still does may have an effect."""


class WorkerNotReached(Exception):
    """No worker has begun the run, and none will because of this invocation."""


class CancelRequested(Exception):
    """The client has cancelled the run, so nothing more may be sent."""


class ProviderFailed(Exception):
    """A call to a model ended without an answer.

    Args:
        code: the run's error code, one of `ProviderRejected`, `ProviderUnauthorized`, `ProviderModelNotFound`,
            `ProviderRateLimited`, `ProviderUnavailable`, `ProviderTimeout`, `ConnectionFailed`, `StreamTruncated`,
            `StreamCorrupt`, `ToolCallInvalid`, `AnswerTooLarge`, `ProviderNotConfigured`.
        message: the message for the user; it never contains a key, nor anything from the provider but its own error
            message.
        retry: whether the same call may succeed a moment later.
        retry_after_s: the seconds after which the provider asks to be called again.
        usage_known: whether the provider's usage is certainly what it has reported (`UsageUpdate`); False if it may
            have continued to work.
        unsupported: the parameters of the request, by the provider's names, that the provider does not support. It
            has not begun to work.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retry: bool = False,
        retry_after_s: float | None = None,
        usage_known: bool = True,
        unsupported: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.unsupported = unsupported
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
    """The run has not ended; only ended runs can be deleted."""

    def __init__(self) -> None:
        super().__init__("The run has not ended; cancel it first.")


class StorageFull(LimitReached):
    """The tenant's runs store as much as its plan allows."""

    def __init__(self, allowed_gb: int) -> None:
        super().__init__(f"The plan allows {allowed_gb} GB of stored inputs and outputs: delete runs to make room.")


class ObjectsBeingRemoved(DependencyUnavailable):
    """The objects that an earlier attempt of the same request has left are being removed; nothing was stored."""

    def __init__(self) -> None:
        super().__init__(
            "A previous attempt of this request is being cleaned up. Try again in a moment.", retry_after_s=5
        )


class ToolOutputsMismatch(InvalidRequest):
    """The outputs are not those of the requested tool calls."""

    def __init__(self) -> None:
        super().__init__("Submit exactly one output for each requested tool call.")


class ToolOutputsTooLarge(InvalidRequest):
    """The run's conversation would exceed its size limit."""

    def __init__(self) -> None:
        super().__init__("The tool calls and outputs of a run can have 2 MB together. Send shorter outputs.")


class RequestsUsedUp(LimitReached):
    """No request of the month's limit is left."""

    def __init__(self, resets_at: datetime, *, limit: int) -> None:
        shortage = Shortage("requests", limit=limit, needed=1, left=0)
        super().__init__("The requests of this month are used up.", resets_at=resets_at, shortage=shortage)


class TokensUsedUp(LimitReached):
    """Fewer tokens of the month's limit are left than the input may use."""

    def __init__(self, resets_at: datetime, *, limit: int, needed: int, left: int) -> None:
        super().__init__(
            "Too few of this month's tokens are left for this call.",
            resets_at=resets_at,
            shortage=Shortage("tokens", limit=limit, needed=needed, left=left),
        )


class CostUsedUp(LimitReached):
    """The remainder of the run's `max_cost_usd` is less than the input may cost."""

    def __init__(self) -> None:
        super().__init__("Too little of the run's max_cost_usd is left for this call.")


class TrialTokensUsedUp(LimitReached):
    """The tokens that an experiment holds for a trial do not suffice for a further call."""

    def __init__(self) -> None:
        super().__init__("Too few of the trial's tokens are left for this call.")


class ModelWithoutPrice(InvalidRequest):
    """The run has a cost limit, and the price of its model is unknown."""

    def __init__(self, model: str) -> None:
        message = f"The price of the model {model} is not known."
        super().__init__(message, [Detail("max_cost_usd", message)])


class ToolChoiceImpossible(InvalidRequest):
    """The run must call a tool that its agent does not have."""

    def __init__(self, message: str) -> None:
        super().__init__(message, [Detail("parameters.tool_choice", message)])


class MediaNotSupported(InvalidRequest):
    """A model of the run does not accept an image or a file of the inputs, or its input tokens cannot be bounded."""

    def __init__(self, message: str) -> None:
        super().__init__(message, [Detail("inputs", message)])


class TooManyOpenCalls(TooManyRequests):
    """The tenant has the maximum number of open calls."""

    def __init__(self) -> None:
        super().__init__("Too many runs of this tenant are under way; try again when some have ended.", retry_after_s=5)


class NoFreeSlot(Exception):
    """The next run of the tenant must wait in the tenant's own queue, since no slot is free for it.

    Args:
        period: the month that holds the tenant's slots.
        limit: the maximum number of executing runs.
        waiting: the number of waiting runs.
        is_full: whether all slots are taken; False if the free slots belong to runs that wait already.
    """

    def __init__(self, period: str, *, limit: int, waiting: int, is_full: bool) -> None:
        super().__init__(period)
        self.period = period
        self.limit = limit
        self.waiting = waiting
        self.is_full = is_full


class TooManyWaitingRuns(TooManyRequests):
    """The tenant has the maximum number of waiting runs."""

    def __init__(self, waiting: int) -> None:
        message = f"{waiting} runs of this tenant are queued already; try again when some have ended."
        super().__init__(message, retry_after_s=10)


class BudgetMoved(DependencyUnavailable):
    """The budget was changed between its reading and its correction."""

    def __init__(self) -> None:
        super().__init__("The budget changed during the correction. Run the command again.", retry_after_s=1)


class PromptOfAgentNotFound(NotFound):
    """The agent's config refers to a prompt or a version of it that does not exist."""

    def __init__(self) -> None:
        super().__init__("There is no such version of the agent's prompt.")


class PromptOfAgentDeleted(Conflict):
    """The agent's config refers to a prompt that was deleted."""

    def __init__(self) -> None:
        super().__init__("The agent's prompt was deleted. Publish a version of the agent with another one.")


class UnknownRunVariables(InvalidRequest):
    """A run passes values for variables that its agent's prompt does not have.

    Args:
        names: the names.
    """

    def __init__(self, names: Sequence[str]) -> None:
        details = [Detail(f"inputs.variables.{name}", "the agent's prompt has no such variable") for name in names]
        super().__init__("The request is not valid.", details)


class VariablesMissing(InvalidRequest):
    """Neither the agent nor the run has a value for some variables of the prompt.

    Args:
        names: the names.
    """

    def __init__(self, names: Sequence[str]) -> None:
        details = [Detail(f"inputs.variables.{name}", "is required by the agent's prompt") for name in names]
        super().__init__("The request is not valid.", details)


class PromptTooLarge(InvalidRequest):
    """The agent's prompt is too large with the values of its variables.

    Args:
        message: the limit.
    """

    def __init__(self, message: str) -> None:
        super().__init__("The request is not valid.", [Detail("inputs.variables", message)])


class DatasetNotFound(NotFound):
    """The tenant has no such dataset."""

    def __init__(self) -> None:
        super().__init__("There is no such dataset.")


class DatasetVersionNotFound(NotFound):
    """The dataset has no such version."""

    def __init__(self) -> None:
        super().__init__("The dataset has no such version.")


class DatasetChanged(ChangedMeanwhile):
    """Another request changed the dataset after it was read."""

    def __init__(self) -> None:
        super().__init__("The dataset was changed at the same time; read it again and try once more.")


class DatasetTooLarge(InvalidRequest):
    """The version would have too many items or bytes."""

    def __init__(self, max_items: int, max_bytes: int) -> None:
        super().__init__(f"A version can have at most {max_items} items and {max_bytes} bytes.")


class UploadNotFound(NotFound):
    """The dataset has no such upload."""

    def __init__(self) -> None:
        super().__init__("The dataset has no such upload.")


class UploadChanged(ChangedMeanwhile):
    """The upload has another state than the one that was read."""

    def __init__(self) -> None:
        super().__init__("The upload was changed at the same time; read it again.")


class RunsNotFound(InvalidRequest):
    """Some of the named runs do not exist.

    Args:
        positions: their positions in the list, from 0.
    """

    def __init__(self, positions: Sequence[int]) -> None:
        details = [Detail(f"from_runs.run_ids.{position}", "There is no such run.") for position in positions]
        super().__init__("Some runs do not exist.", details)


class ExperimentNotFound(NotFound):
    """The tenant has no such experiment."""

    def __init__(self) -> None:
        super().__init__("There is no such experiment.")


class ExperimentChanged(ChangedMeanwhile):
    """Another request changed the experiment after it was read."""

    def __init__(self) -> None:
        super().__init__("The experiment was changed at the same time; read it again and try once more.")


class ExperimentNotDraft(Conflict):
    """The experiment was started before."""

    def __init__(self) -> None:
        super().__init__("The experiment was started already; create another one to change its definition.")


class ExperimentNotRunning(Conflict):
    """The experiment is not running, so it cannot be stopped."""

    def __init__(self) -> None:
        super().__init__("The experiment is not running.")


class ExperimentNotEnded(Conflict):
    """Trials of the experiment are under way."""

    def __init__(self) -> None:
        super().__init__("The experiment has not ended; stop it first.")


class TooManyExperiments(Conflict):
    """The tenant runs the maximum number of experiments."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} experiments of this tenant are running; start it when one has ended.")


class DefinitionInvalid(InvalidRequest):
    """The definition of an experiment cannot be carried out."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__("The experiment cannot be carried out.", [Detail(field, message)])
