"""Every provider in every case: the received response and the known usage."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from email.utils import format_datetime
from typing import cast

import pytest

from services.runs.providers.domain.model import StopReason
from services.runs.providers.gateway.models import ProviderModels
from services.runs.runs.domain.conversation import ToolCall
from shared.meters import Meter, Meters
from shared.times import utc_now
from tests.services.runs.providers.adapters import (
    ADAPTERS,
    CONVERSE,
    MESSAGES,
    Adapter,
    CallResult,
    answered,
    framed,
    frames,
    receive,
    refused,
    request,
)
from tests.services.runs.providers.server import Happening, Pause, ProviderServer, Reply
from tests.services.runs.providers.wire import Answer, Used

CALLS = (ToolCall("call_a", "weather", '{"city": "Wien"}'), ToolCall("call_b", "weather", '{"city": "Graz"}'))
COMPLETE: Meters = {Meter.TOKENS_IN: 12, Meter.TOKENS_OUT: 5}
FIRST: Meters = {Meter.TOKENS_IN: 12, Meter.TOKENS_OUT: 1}
AROUND_30_S = cast("float", pytest.approx(30, abs=2))  # pyright: ignore[reportUnknownMemberType]  # untyped in pytest
BRIEF_S = 0.3
"""The timeout of calls that are meant to time out."""


@dataclass(frozen=True)
class Success:
    """A complete response."""

    answer: Answer
    meters: Meters
    text: str = "Hello, world"
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A call that ends without a response."""

    reply: Callable[[Adapter], Reply]
    code: str
    _: KW_ONLY
    retry: bool
    usage_known: bool
    text: str = ""
    counts: bool = False
    """Whether the response had begun, so that a provider that counts first has counted."""
    retry_after_s: float | None = None
    timeout_s: float = 5
    message: str | None = None


USED_CACHE = Used(tokens_in=1_000, cache_read=700, cache_write=200, tokens_out=60, reasoning=40)
CACHED: Meters = {
    Meter.TOKENS_IN: 1_000,
    Meter.TOKENS_CACHE_READ: 700,
    Meter.TOKENS_CACHE_WRITE: 200,
    Meter.TOKENS_OUT: 60,
    Meter.TOKENS_REASONING: 40,
}
SUCCESSES = {
    "plain": Success(Answer(texts=("Hello, world",)), COMPLETE),
    "in chunks": Success(Answer(), COMPLETE),
    "an empty response": Success(Answer(texts=()), COMPLETE, text=""),
    "one tool": Success(Answer((), CALLS[:1], StopReason.TOOL_CALLS), COMPLETE, text="", calls=CALLS[:1]),
    "tools in parallel": Success(Answer((), CALLS, StopReason.TOOL_CALLS), COMPLETE, text="", calls=CALLS),
    "tools after text": Success(Answer(calls=CALLS, stop=StopReason.TOOL_CALLS), COMPLETE, calls=CALLS),
    "the output cap": Success(Answer(stop=StopReason.LENGTH), COMPLETE),
    "a refusal": Success(Answer(("I will not.",), stop=StopReason.REFUSED), COMPLETE, text="I will not."),
    "cache and reasoning": Success(Answer(used=USED_CACHE), CACHED),
    "other scripts": Success(Answer(("Grüße, ", "世界 🌍")), COMPLETE, text="Grüße, 世界 🌍"),
}


def begun(adapter: Adapter, *after: bytes | Pause | Happening) -> Reply:
    """Return a response with the text `Hello`, then this."""
    payload = frames(adapter, Answer(texts=("Hello",)))
    return framed(adapter, *payload.opening, *payload.middle, *after)


def truncated(adapter: Adapter) -> Reply:
    """Return everything but the terminal event."""
    return framed(adapter, *frames(adapter).all[: -len(frames(adapter).closing)])


def late(seconds: float) -> str:
    """Return a time in the HTTP format."""
    return format_datetime(utc_now() + timedelta(seconds=seconds), usegmt=True)


def status(code: int, **headers: str) -> Callable[[Adapter], Reply]:
    """Return an error status."""
    return lambda adapter: refused(adapter, code, "No.", **headers)


FAILURES = {
    "400": Failure(status(400), "ProviderRejected", retry=False, usage_known=True, message="No."),
    "401": Failure(
        status(401),
        "ProviderUnauthorized",
        retry=False,
        usage_known=True,
        message="The provider does not accept the key.",
    ),
    "403": Failure(
        status(403),
        "ProviderUnauthorized",
        retry=False,
        usage_known=True,
        message="The provider does not accept the key.",
    ),
    "404": Failure(status(404), "ProviderModelNotFound", retry=False, usage_known=True, message="No."),
    "408": Failure(status(408), "ProviderUnavailable", retry=True, usage_known=True),
    "422": Failure(status(422), "ProviderRejected", retry=False, usage_known=True),
    "429": Failure(status(429), "ProviderRateLimited", retry=True, usage_known=True),
    "429, seconds": Failure(
        status(429, Retry_After="7"), "ProviderRateLimited", retry=True, usage_known=True, retry_after_s=7
    ),
    "429, a date": Failure(
        lambda adapter: refused(adapter, 429, Retry_After=late(30)),
        "ProviderRateLimited",
        retry=True,
        usage_known=True,
        retry_after_s=AROUND_30_S,
    ),
    "429, a year": Failure(status(429, Retry_After="31536000"), "ProviderRateLimited", retry=True, usage_known=True),
    "429, nonsense": Failure(status(429, Retry_After="soon"), "ProviderRateLimited", retry=True, usage_known=True),
    "429, the past": Failure(status(429, Retry_After="-5"), "ProviderRateLimited", retry=True, usage_known=True),
    "500": Failure(status(500), "ProviderUnavailable", retry=True, usage_known=True),
    "503": Failure(status(503, Retry_After="2"), "ProviderUnavailable", retry=True, usage_known=True, retry_after_s=2),
    "529": Failure(status(529), "ProviderUnavailable", retry=True, usage_known=True),
    "a page instead of an error": Failure(
        lambda _: Reply((b"<html>Bad gateway</html>",), status=502, headers={"Content-Type": "text/html"}),
        "ProviderUnavailable",
        retry=True,
        usage_known=True,
    ),
    "slow before the status": Failure(
        lambda _: Reply((), before=Happening.STALL), "ProviderTimeout", retry=True, usage_known=False, timeout_s=BRIEF_S
    ),
    "slow first token": Failure(
        lambda adapter: framed(adapter, Happening.STALL),
        "ProviderTimeout",
        retry=True,
        usage_known=False,
        timeout_s=BRIEF_S,
    ),
    "stall in the middle": Failure(
        lambda adapter: begun(adapter, Happening.STALL),
        "ProviderTimeout",
        retry=True,
        usage_known=False,
        text="Hello",
        counts=True,
        timeout_s=BRIEF_S,
    ),
    "gone before the status": Failure(
        lambda _: Reply((), before=Happening.CUT), "ConnectionFailed", retry=True, usage_known=False
    ),
    "cut in the middle": Failure(
        lambda adapter: begun(adapter, Happening.CUT),
        "ConnectionFailed",
        retry=True,
        usage_known=False,
        text="Hello",
        counts=True,
    ),
    "truncated": Failure(truncated, "StreamTruncated", retry=True, usage_known=False, text="Hello, world", counts=True),
    "empty": Failure(lambda adapter: framed(adapter), "StreamTruncated", retry=True, usage_known=False),
    "corrupt chunk": Failure(
        lambda adapter: begun(adapter, adapter.wire.corrupt),
        "StreamCorrupt",
        retry=True,
        usage_known=False,
        text="Hello",
        counts=True,
    ),
    "misshapen chunk": Failure(
        lambda adapter: begun(adapter, adapter.wire.misshapen),
        "StreamCorrupt",
        retry=True,
        usage_known=False,
        text="Hello",
        counts=True,
    ),
    "overloaded in the middle": Failure(
        lambda adapter: begun(adapter, adapter.wire.fault),
        "ProviderUnavailable",
        retry=True,
        usage_known=False,
        text="Hello",
        counts=True,
        message="Overloaded.",
    ),
}


@pytest.mark.parametrize("adapter", [MESSAGES, CONVERSE], ids=str)
class TestCacheWrites:
    def test_for_an_hour_have_a_meter_of_their_own(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter
    ) -> None:
        used = Used(tokens_in=1_000, cache_read=100, cache_write=200, cache_write_1h=150)
        server.add_replies(answered(adapter, Answer(used=used)))
        received = receive(models, request(adapter, server.url))
        assert received.ended
        assert received.ended.meters == {
            Meter.TOKENS_IN: 1_000,
            Meter.TOKENS_CACHE_READ: 100,
            Meter.TOKENS_CACHE_WRITE: 200,
            Meter.TOKENS_CACHE_WRITE_1H: 150,
            Meter.TOKENS_OUT: 5,
        }


@pytest.mark.parametrize("adapter", ADAPTERS, ids=str)
class TestTable:
    @pytest.mark.parametrize("case", SUCCESSES.values(), ids=SUCCESSES)
    def test_complete_response(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter, case: Success
    ) -> None:
        server.add_replies(answered(adapter, case.answer))
        received = receive(models, request(adapter, server.url))
        assert received.failure is None
        assert received.ended
        assert (received.text, received.ended.tool_calls, received.ended.stop) == (
            case.text,
            case.calls,
            case.answer.stop,
        )
        unknown = set[Meter]() if adapter.counts_reasoning else {Meter.TOKENS_REASONING}
        assert received.ended.meters == {meter: case.meters[meter] for meter in case.meters.keys() - unknown}
        assert server.received[-1].path == adapter.wire.path

    @pytest.mark.parametrize("case", FAILURES.values(), ids=FAILURES)
    def test_failed_response(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter, case: Failure
    ) -> None:
        server.add_replies(case.reply(adapter))
        received = receive(models, request(adapter, server.url, timeout_s=case.timeout_s))
        assert _told(received) == (case.code, case.retry, case.usage_known, case.retry_after_s)
        assert (received.ended, received.text) == (None, case.text)
        assert received.counted == (FIRST if case.counts and adapter.counts_first else {})
        assert case.message in {None, str(received.failure)}


def _told(received: CallResult) -> tuple[str, bool, bool, float | None]:
    assert received.failure
    return received.failure.code, received.failure.retry, received.failure.usage_known, received.failure.retry_after_s
