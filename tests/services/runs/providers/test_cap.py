"""Responses larger than the output cap."""

from collections.abc import Generator, Sequence

import pytest

from services.runs.errors import ProviderFailed
from services.runs.providers.domain.model import StopReason, StreamEnd, StreamPart, TextDelta, UsageUpdate
from services.runs.providers.gateway.bounds import MAX_RESPONSE_BYTES, WireLimits, max_response_bytes
from services.runs.providers.gateway.cap import limited_to_cap
from services.runs.providers.gateway.models import ProviderModels
from services.runs.providers.gateway.streamed_calls import MAX_STREAMED_CALLS, StreamedCalls
from services.runs.runs.domain.conversation import ToolCall
from shared.meters import Meter
from tests.services.runs.providers.adapters import ADAPTERS, Adapter, answered, receive, request
from tests.services.runs.providers.server import ProviderServer
from tests.services.runs.providers.wire import Answer

CAP = 100
MOST = max_response_bytes(CAP)
COUNTED = {Meter.TOKENS_IN: 7, Meter.TOKENS_OUT: 2}


class Stream:
    """A stream of these parts that records whether it was closed."""

    def __init__(self, parts: Sequence[StreamPart]) -> None:
        self.parts = parts
        self.closed = False

    def open(self) -> Generator[StreamPart]:
        try:
            yield from self.parts
        finally:
            self.closed = True


def hold(*parts: StreamPart) -> tuple[list[StreamPart], ProviderFailed | None]:
    """Return the parts of a stream that pass, and its failure."""
    stream, passed = Stream(parts), list[StreamPart]()
    try:
        passed += limited_to_cap(stream.open(), max_output_tokens=CAP)
    except ProviderFailed as failure:
        return passed, failure
    finally:
        assert stream.closed
    return passed, None


class TestLimitedToCap:
    def test_passes_text_within_the_cap(self) -> None:
        parts = (TextDelta("x" * (MOST - 6)), StreamEnd(COUNTED, (ToolCall("id", "n", "{} "),), StopReason.TOOL_CALLS))
        assert hold(*parts) == (list(parts), None)

    def test_fails_at_the_first_text_beyond_the_cap(self) -> None:
        passed, failure = hold(TextDelta("é" * (MOST // 2)), TextDelta("x"), StreamEnd(COUNTED))
        assert failure
        assert (passed, failure.code, failure.usage_known) == ([TextDelta("é" * (MOST // 2))], "AnswerTooLarge", False)

    def test_knows_the_usage_when_it_fails_at_the_end(self) -> None:
        passed, failure = hold(StreamEnd(COUNTED, (ToolCall("id", "n", "x" * MOST),), StopReason.TOOL_CALLS))
        assert failure
        assert (passed, failure.usage_known, failure.retry) == ([UsageUpdate(COUNTED)], True, False)

    def test_grows_with_the_cap_up_to_the_maximum(self) -> None:
        assert max_response_bytes(1) < max_response_bytes(4_096) < max_response_bytes(10**6) == MAX_RESPONSE_BYTES


class TestStreamedCalls:
    def test_refuses_too_many_calls(self) -> None:
        calls = StreamedCalls()
        for place in range(MAX_STREAMED_CALLS):
            calls.add(place)
        with pytest.raises(ProviderFailed, match="can hold"):
            calls.add(MAX_STREAMED_CALLS)

    def test_refuses_too_long_arguments(self) -> None:
        calls = StreamedCalls()
        for _ in range(2):
            calls.add(0, arguments="x" * (MAX_RESPONSE_BYTES // 2))
        with pytest.raises(ProviderFailed, match="can hold"):
            calls.add(0, arguments="x")


class TestWireLimits:
    def test_allow_a_response_that_repeats_a_large_request(self) -> None:
        limits = WireLimits.of(4_096, request_bytes=1024 * 1024)
        assert limits.event_bytes > 2 * 1024 * 1024
        assert limits.body_bytes > 3 * limits.event_bytes - 3 * 256 * 1024

    def test_are_capped_for_the_largest_response(self) -> None:
        assert WireLimits.of(10**6, request_bytes=10**7) == WireLimits()


@pytest.mark.parametrize("adapter", ADAPTERS, ids=str)
class TestServers:
    def test_ends_a_response_beyond_the_cap(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter
    ) -> None:
        server.add_replies(answered(adapter, Answer(texts=("x" * MOST, "yy"))))
        received = receive(models, request(adapter, server.url))
        assert received.failure
        assert (received.failure.code, received.ended) == ("AnswerTooLarge", None)

    def test_reads_a_response_within_the_cap(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter
    ) -> None:
        server.add_replies(answered(adapter, Answer(texts=("x" * (MOST - 2), "yy"))))
        assert receive(models, request(adapter, server.url)).ended
