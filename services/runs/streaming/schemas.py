"""The events of a run's stream, as clients receive them."""

from typing import Annotated, Literal

from pydantic import Field, RootModel

from services.runs.runs.schemas import RequiredAction, RunFailure
from shared.schema import DocumentedModel, SparseModel


class RunDelta(DocumentedModel):
    """The next piece of the text of the current answer."""

    text: str


class RunRestart(DocumentedModel):
    """Empty: the event has no data."""


class RunEnd(SparseModel):
    """The end of the run."""

    run_id: str
    status: str
    """`completed`, `failed` or `cancelled`."""
    error: RunFailure | None = None
    """Present if the run failed."""


class _Event(DocumentedModel):
    id: str
    """The event id. Send it as `Last-Event-ID` to resume after this event."""


class RunDeltaEvent(_Event):
    """A piece of text."""

    event: Literal["run.delta"]
    data: RunDelta


class RunRestartedEvent(_Event):
    """A retried call starts its text anew. The pieces since the last `run.requires_action` are invalid."""

    event: Literal["run.restarted"]
    data: RunRestart


class RunRequiresActionEvent(_Event):
    """The answer is complete, and the run waits for the outputs of its tool calls."""

    event: Literal["run.requires_action"]
    data: RequiredAction


class RunEndedEvent(_Event):
    """The run has ended. It is the last event of the stream."""

    event: Literal["run.completed", "run.failed", "run.cancelled"]
    data: RunEnd


class RunStreamEvent(
    RootModel[
        Annotated[
            RunDeltaEvent | RunRestartedEvent | RunRequiresActionEvent | RunEndedEvent, Field(discriminator="event")
        ]
    ]
):
    """One event of the stream. On the wire, `data` is one line of JSON."""
