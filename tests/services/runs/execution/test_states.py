"""The states of an attempt: a call is in flight from the moment it may have been sent until its end is written."""

from datetime import UTC, datetime
from typing import cast

from services.runs.execution.operations.response import PartialResponse
from services.runs.execution.operations.states import (
    Answered,
    Closing,
    Ended,
    Leased,
    Ready,
    Recorded,
    Reserved,
    Sent,
    State,
    Written,
    response_in_flight,
)
from services.runs.execution.operations.transcript import Transcript
from services.runs.providers.domain.model import Model
from services.runs.providers.domain.request import ModelRequest
from tests.services.runs.examples import CALL, submitted

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
REQUEST = cast("ModelRequest", None)
"""The states only carry it."""
RESPONSE = PartialResponse(REQUEST)
ANSWERED = Answered(REQUEST, RESPONSE)
NOT_SENT = Answered(REQUEST, RESPONSE, is_sent=False)


class TestResponseInFlight:
    def test_begins_with_the_send_and_ends_with_the_write(self) -> None:
        change = submitted()
        states: list[State] = [
            Leased(),
            Ready(REQUEST),
            Reserved(REQUEST, CALL, NOW),
            Recorded(REQUEST, CALL),
            Sent(REQUEST, cast("Model", None), RESPONSE, cast("Transcript", None)),
            ANSWERED,
            Closing(change=change, answer=ANSWERED),
            Written(change[0], None),
            Ended(),
        ]
        in_flight = [type(state) for state in states if response_in_flight(state)]
        assert in_flight == [Sent, Answered, Closing]

    def test_is_none_for_a_call_that_found_no_model(self) -> None:
        assert response_in_flight(NOT_SENT) is None
        assert response_in_flight(Closing(change=submitted(), answer=NOT_SENT)) is None
