"""The end of a call by what its worker has received."""

from collections.abc import Sequence

import pytest

from services.runs.execution.operations.response import PartialResponse
from services.runs.providers.domain.model import (
    ParameterOmitted,
    StopReason,
    StreamActivity,
    StreamEnd,
    StreamPart,
    TextDelta,
    UsageUpdate,
)
from services.runs.providers.domain.request import ModelRequest
from services.runs.runs.domain.conversation import Message
from services.runs.runs.domain.run import CallEnd, Cost, FinishReason, Outcome
from shared.meters import Meter, Meters
from shared.models.capabilities import Parameter

IN, OUT, UNCERTAIN = Meter.TOKENS_IN, Meter.TOKENS_OUT, Meter.TOKENS_UNCERTAIN
REQUEST = ModelRequest("openai", "m", (Message("user", "Hi"),), max_output_tokens=10)
SIMULATED = ModelRequest("simulated", "m", (Message("user", "Hi"),), max_output_tokens=10)


def ended(
    *parts: StreamPart, status: Outcome = Outcome.FAILED, usage_known: bool = False, request: ModelRequest = REQUEST
) -> CallEnd:
    """Return the end of a call with these parts, whose cost is the number of its tokens."""
    response = PartialResponse(request)
    for part in parts:
        response.add(part)
    return response.end(status, usage_known=usage_known, cost=lambda meters: Cost(sum(meters.values())), error=None)


class TestCut:
    @pytest.mark.parametrize(
        ("parts", "meters", "estimated"),
        [
            ([], {}, False),
            ([StreamActivity()], {}, False),
            ([TextDelta("a")], {OUT: 1}, True),
            ([TextDelta("Hello"), TextDelta(", world")], {OUT: 3}, True),
            ([TextDelta("世界")], {OUT: 2}, True),
            ([StreamActivity(8)], {OUT: 2}, True),
            ([StreamActivity(6), TextDelta("Hi")], {OUT: 2}, True),
            ([TextDelta("x" * 1_000)], {OUT: 10}, True),
            ([UsageUpdate({IN: 7, OUT: 1}), TextDelta("Hello")], {IN: 7, OUT: 2}, True),
            ([UsageUpdate({IN: 7, OUT: 5}), TextDelta("Hello")], {IN: 7, OUT: 5}, False),
        ],
        ids=str,
    )
    def test_is_estimated_from_the_received_output(
        self, parts: Sequence[StreamPart], meters: Meters, *, estimated: bool
    ) -> None:
        end = ended(*parts)
        assert (end.meters, end.usage_known, end.usage_estimated) == (meters, False, estimated)
        assert end.cost == Cost(sum(meters.values()))
        assert end.finish_reason is None

    def test_after_the_final_count_is_certain(self) -> None:
        end = ended(UsageUpdate({IN: 7, OUT: 1}), TextDelta("Hello"), usage_known=True)
        assert (end.meters, end.usage_known, end.usage_estimated) == ({IN: 7, OUT: 1}, True, False)

    def test_that_a_client_has_cancelled_is_estimated_too(self) -> None:
        end = ended(TextDelta("Hello"), status=Outcome.CANCELLED)
        assert (end.meters, end.usage_known, end.usage_estimated) == ({OUT: 2}, False, True)
        assert end.finish_reason is FinishReason.CANCELLED

    def test_of_a_simulated_call_that_was_cancelled_costs_nothing(self) -> None:
        parts = (UsageUpdate({IN: 7}), TextDelta("Hello"))
        end = ended(*parts, status=Outcome.CANCELLED, request=SIMULATED)
        assert (end.meters, end.usage_known, end.cost) == ({}, True, Cost(0))


class TestComplete:
    @pytest.mark.parametrize(
        ("stop", "reason"),
        [
            (StopReason.ANSWERED, FinishReason.STOP),
            (StopReason.LENGTH, FinishReason.LENGTH),
            (StopReason.TOOL_CALLS, FinishReason.TOOL_CALLS),
            (StopReason.REFUSED, FinishReason.CONTENT_FILTER),
        ],
    )
    def test_has_its_usage_and_reason(self, stop: StopReason, reason: FinishReason) -> None:
        end = ended(TextDelta("Hello"), StreamEnd({IN: 7, OUT: 3}, stop=stop), status=Outcome.COMPLETED)
        assert (end.meters, end.usage_known, end.usage_estimated) == ({IN: 7, OUT: 3}, True, False)
        assert end.finish_reason is reason

    def test_without_counts_is_estimated(self) -> None:
        end = ended(TextDelta("Hello"), StreamEnd({UNCERTAIN: 500}), status=Outcome.COMPLETED)
        assert (end.meters, end.usage_known, end.usage_estimated) == ({OUT: 2}, False, True)


class TestOmittedParameters:
    @pytest.mark.parametrize("request_", [REQUEST, SIMULATED], ids=["provider", "simulated"])
    @pytest.mark.parametrize("status", [Outcome.COMPLETED, Outcome.FAILED, Outcome.CANCELLED])
    def test_are_kept_however_the_call_ends(self, request_: ModelRequest, status: Outcome) -> None:
        parts = (ParameterOmitted(Parameter.TEMPERATURE), ParameterOmitted(Parameter.TOP_P), TextDelta("Hello"))
        assert ended(*parts, status=status, request=request_).omitted == (Parameter.TEMPERATURE, Parameter.TOP_P)


class TestInvalidOutput:
    @pytest.mark.parametrize(
        ("text", "kept", "truncated"),
        [("No.", "No.", False), ("x" * 20_000, "x" * 16_384, True), ("x" + "世" * 6_000, "x" + "世" * 5_461, True)],
        ids=["short", "long", "within a character"],
    )
    def test_is_kept_up_to_its_bound(self, text: str, kept: str, *, truncated: bool) -> None:
        response = PartialResponse(REQUEST)
        response.add(TextDelta(text))
        output = response.invalid_output(ValueError("It is a text."))
        assert (output.text, output.is_truncated, output.reason) == (kept, truncated, "It is a text.")

    def test_has_no_character_that_cannot_be_stored(self) -> None:
        response = PartialResponse(REQUEST)
        response.add(TextDelta("a\0b"))
        assert response.invalid_output(ValueError("\0")).text == "a\ufffdb"
