"""Answers that are larger than their output cap allows."""

from collections.abc import Generator, Sequence

import pytest

from services.runs.domain.request import ToolCall
from services.runs.errors import ProviderFailed
from services.runs.gateways.bounds import MAX_ANSWER_BYTES, WireLimits, answer_bytes
from services.runs.gateways.calls import MAX_STREAMED_CALLS, StreamedCalls
from services.runs.gateways.cap import held_to_cap
from services.runs.gateways.model import Counted, Ended, Part, Stop, Text
from services.runs.gateways.models import ProviderModels
from shared.meters import Meter
from tests.services.runs.providers.server import ProviderServer
from tests.services.runs.providers.speakers import SPEAKERS, Speaker, answered, hear, request
from tests.services.runs.providers.wire import Answer

CAP = 100
MOST = answer_bytes(CAP)
COUNTED = {Meter.TOKENS_IN: 7, Meter.TOKENS_OUT: 2}


class Stream:
    """A model's stream of these parts; remembers that it was closed."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self.closed = False

    def open(self) -> Generator[Part]:
        try:
            yield from self.parts
        finally:
            self.closed = True


def hold(*parts: Part) -> tuple[list[Part], ProviderFailed | None]:
    """What is passed on of a stream, and how it failed."""
    stream, passed = Stream(parts), list[Part]()
    try:
        passed += held_to_cap(stream.open(), max_output_tokens=CAP)
    except ProviderFailed as failure:
        return passed, failure
    finally:
        assert stream.closed
    return passed, None


class TestHeldToCap:
    def test_passes_on_what_is_within_it(self) -> None:
        parts = (Text("x" * (MOST - 6)), Ended(COUNTED, (ToolCall("id", "n", "{} "),), Stop.TOOL_CALLS))
        assert hold(*parts) == (list(parts), None)

    def test_fails_at_the_first_text_beyond_it(self) -> None:
        passed, failure = hold(Text("é" * (MOST // 2)), Text("x"), Ended(COUNTED))
        assert failure
        assert (passed, failure.code, failure.usage_known) == ([Text("é" * (MOST // 2))], "AnswerTooLarge", False)

    def test_knows_the_usage_when_it_fails_at_the_end(self) -> None:
        passed, failure = hold(Ended(COUNTED, (ToolCall("id", "n", "x" * MOST),), Stop.TOOL_CALLS))
        assert failure
        assert (passed, failure.usage_known, failure.retry) == ([Counted(COUNTED)], True, False)

    def test_grows_with_the_cap_up_to_what_a_worker_holds(self) -> None:
        assert answer_bytes(1) < answer_bytes(4_096) < answer_bytes(10**6) == MAX_ANSWER_BYTES


class TestStreamedCalls:
    def test_refuses_more_calls_than_any_answer_has(self) -> None:
        calls = StreamedCalls()
        for place in range(MAX_STREAMED_CALLS):
            calls.add(place)
        with pytest.raises(ProviderFailed, match="can hold"):
            calls.add(MAX_STREAMED_CALLS)

    def test_refuses_longer_arguments_than_any_answer_has(self) -> None:
        calls = StreamedCalls()
        for _ in range(2):
            calls.add(0, arguments="x" * (MAX_ANSWER_BYTES // 2))
        with pytest.raises(ProviderFailed, match="can hold"):
            calls.add(0, arguments="x")


class TestWireLimits:
    def test_an_answer_that_repeats_a_large_request_is_within_them(self) -> None:
        limits = WireLimits.of(4_096, request_bytes=1024 * 1024)
        assert limits.event_bytes > 2 * 1024 * 1024
        assert limits.body_bytes > 3 * limits.event_bytes - 3 * 256 * 1024

    def test_the_largest_answer_has_the_largest_limits(self) -> None:
        assert WireLimits.of(10**6, request_bytes=10**7) == WireLimits()


@pytest.mark.parametrize("speaker", SPEAKERS, ids=str)
class TestServers:
    def test_an_answer_beyond_the_cap_is_given_up(
        self, server: ProviderServer, models: ProviderModels, speaker: Speaker
    ) -> None:
        server.say(answered(speaker, Answer(texts=("x" * MOST, "yy"))))
        heard = hear(models, request(speaker, server.url))
        assert heard.failure
        assert (heard.failure.code, heard.ended) == ("AnswerTooLarge", None)

    def test_an_answer_within_it_is_read(
        self, server: ProviderServer, models: ProviderModels, speaker: Speaker
    ) -> None:
        server.say(answered(speaker, Answer(texts=("x" * (MOST - 2), "yy"))))
        assert hear(models, request(speaker, server.url)).ended
