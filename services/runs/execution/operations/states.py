"""The states of one attempt at a run.

    Leased ──► Ready ──► Reserved ──► Recorded ──► Sent ──► Answered ──► Closing ──► Written ──► Ended
                 ▲                                                                      │
                 └────────────────────────────── another call ──────────────────────────┘

`Reserved`, `Recorded` and `Written` are entered by a durable write. A worker that dies leaves the run to the reaper: up
to `Reserved`, nothing was sent; from `Recorded` on, the reaper counts the call at its bound; in `Written`, the call is
counted, and the sweep settles its budget.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.runs.execution.operations.response import PartialResponse
from services.runs.execution.operations.transcript import Transcript
from services.runs.providers.domain.model import Model
from services.runs.providers.domain.request import ModelRequest
from services.runs.runs.domain.lifecycle import Change
from services.runs.runs.domain.run import CallEnd, OpenCall, Run


@dataclass(frozen=True, slots=True)
class Leased:
    """The worker has the run, and has read nothing but its state."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The next request is known."""

    request: ModelRequest


@dataclass(frozen=True, slots=True)
class Reserved:
    """The usage bound of the call is reserved in the tenant's budget."""

    request: ModelRequest
    call: OpenCall
    planned_at: datetime
    """The time from which the duration of the call counts."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The stored run contains the call as open, so the call may be sent."""

    request: ModelRequest
    call: OpenCall


@dataclass(frozen=True, slots=True)
class Sent:
    """The call may have reached the provider."""

    request: ModelRequest
    model: Model
    response: PartialResponse
    """Its request is the one that is sent: with the provider, output cap and timeout of the call."""
    transcript: Transcript


@dataclass(frozen=True, slots=True)
class Answered:
    """The call is over, with the terminal event, a failure or a cancellation."""

    request: ModelRequest
    response: PartialResponse
    is_sent: bool = True
    """False: no model was found for the request."""


@dataclass(frozen=True, slots=True)
class FurtherCall:
    """The next call of the attempt."""

    request: ModelRequest
    pause_s: float | None = None
    """The pause before it, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """The change that ends the call, the attempt or the run is decided, and not written yet."""

    change: Change
    end: CallEnd | None = None
    """The end of the open call; None if no call is open, or it was not sent."""
    answer: Answered | None = None
    """The answer that it ends; None: no call was sent, or an unexpected error has ended it."""
    unless_cancelled: bool = False
    """Whether a cancellation that the worker has not received yet replaces the change."""
    stores_answer: bool = False
    """Whether the change stores the answer, for which the tenant's storage may be full."""
    output: Mapping[str, Any] | None = None
    """The output of the run: if it cannot be stored, the client of a waited run still receives it."""
    further: FurtherCall | None = None
    """None: the attempt is over."""


@dataclass(frozen=True, slots=True)
class Written:
    """The change is written, and the budget of its call is not settled yet."""

    before: Run
    further: FurtherCall | None


@dataclass(frozen=True, slots=True)
class Ended:
    """The attempt is over."""


State = Leased | Ready | Reserved | Recorded | Sent | Answered | Closing | Written | Ended


def response_in_flight(state: State) -> PartialResponse | None:
    """Return the response of the call that may have been sent and whose end is not written, or None."""
    match state:
        case Sent(response=response):
            return response
        case Answered() as answer:
            return answer.response if answer.is_sent else None
        case Closing(answer=Answered() as answer):
            return answer.response if answer.is_sent else None
        case _:
            return None
