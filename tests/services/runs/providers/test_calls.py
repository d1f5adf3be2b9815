"""Every provider in every case: what a worker hears, and what is known to have been used."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from email.utils import format_datetime
from typing import cast

import pytest

from services.runs.domain.request import ToolCall
from services.runs.gateways.model import Stop
from services.runs.gateways.models import ProviderModels
from shared.meters import Meter, Meters
from shared.times import utc_now
from tests.services.runs.providers.server import Happening, Pause, ProviderServer, Reply
from tests.services.runs.providers.speakers import (
    SPEAKERS,
    Heard,
    Speaker,
    answered,
    framed,
    frames,
    hear,
    refused,
    request,
)
from tests.services.runs.providers.wire import Answer, Used

CALLS = (ToolCall("call_a", "weather", '{"city": "Wien"}'), ToolCall("call_b", "weather", '{"city": "Graz"}'))
WHOLE: Meters = {Meter.TOKENS_IN: 12, Meter.TOKENS_OUT: 5}
FIRST: Meters = {Meter.TOKENS_IN: 12, Meter.TOKENS_OUT: 1}
AROUND_30_S = cast("float", pytest.approx(30, abs=2))  # pyright: ignore[reportUnknownMemberType]  # untyped in pytest
BRIEF_S = 0.3
"""For calls that are to run out of time."""


@dataclass(frozen=True)
class Success:
    """An answer that is whole."""

    answer: Answer
    meters: Meters
    text: str = "Hello, world"
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A call that ends without an answer."""

    reply: Callable[[Speaker], Reply]
    code: str
    _: KW_ONLY
    retry: bool
    usage_known: bool
    text: str = ""
    counts: bool = False
    """The answer had begun, so a provider that counts first has counted."""
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
    "plain": Success(Answer(texts=("Hello, world",)), WHOLE),
    "in chunks": Success(Answer(), WHOLE),
    "nothing to say": Success(Answer(texts=()), WHOLE, text=""),
    "one tool": Success(Answer((), CALLS[:1], Stop.TOOL_CALLS), WHOLE, text="", calls=CALLS[:1]),
    "tools in parallel": Success(Answer((), CALLS, Stop.TOOL_CALLS), WHOLE, text="", calls=CALLS),
    "tools after text": Success(Answer(calls=CALLS, stop=Stop.TOOL_CALLS), WHOLE, calls=CALLS),
    "the output cap": Success(Answer(stop=Stop.LENGTH), WHOLE),
    "a refusal": Success(Answer(("I will not.",), stop=Stop.REFUSED), WHOLE, text="I will not."),
    "cache and reasoning": Success(Answer(used=USED_CACHE), CACHED),
    "other scripts": Success(Answer(("Grüße, ", "世界 🌍")), WHOLE, text="Grüße, 世界 🌍"),
}


def begun(speaker: Speaker, *after: bytes | Pause | Happening) -> Reply:
    """An answer that has said `Hello`, and then this."""
    said = frames(speaker, Answer(texts=("Hello",)))
    return framed(speaker, *said.opening, *said.middle, *after)


def truncated(speaker: Speaker) -> Reply:
    """All but the terminal event."""
    return framed(speaker, *frames(speaker).all[: -len(frames(speaker).closing)])


def late(seconds: float) -> str:
    """A moment from now, as HTTP writes it."""
    return format_datetime(utc_now() + timedelta(seconds=seconds), usegmt=True)


def status(code: int, **headers: str) -> Callable[[Speaker], Reply]:
    """An error status."""
    return lambda speaker: refused(speaker, code, "No.", **headers)


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
        lambda speaker: refused(speaker, 429, Retry_After=late(30)),
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
        lambda speaker: framed(speaker, Happening.STALL),
        "ProviderTimeout",
        retry=True,
        usage_known=False,
        timeout_s=BRIEF_S,
    ),
    "stall in the middle": Failure(
        lambda speaker: begun(speaker, Happening.STALL),
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
        lambda speaker: begun(speaker, Happening.CUT),
        "ConnectionFailed",
        retry=True,
        usage_known=False,
        text="Hello",
        counts=True,
    ),
    "truncated": Failure(truncated, "StreamTruncated", retry=True, usage_known=False, text="Hello, world", counts=True),
    "empty": Failure(lambda speaker: framed(speaker), "StreamTruncated", retry=True, usage_known=False),
    "corrupt chunk": Failure(
        lambda speaker: begun(speaker, speaker.wire.corrupt),
        "StreamCorrupt",
        retry=True,
        usage_known=False,
        text="Hello",
        counts=True,
    ),
    "misshapen chunk": Failure(
        lambda speaker: begun(speaker, speaker.wire.misshapen),
        "StreamCorrupt",
        retry=True,
        usage_known=False,
        text="Hello",
        counts=True,
    ),
    "overloaded in the middle": Failure(
        lambda speaker: begun(speaker, speaker.wire.fault),
        "ProviderUnavailable",
        retry=True,
        usage_known=False,
        text="Hello",
        counts=True,
        message="Overloaded.",
    ),
}


@pytest.mark.parametrize("speaker", SPEAKERS, ids=str)
class TestTable:
    @pytest.mark.parametrize("case", SUCCESSES.values(), ids=SUCCESSES)
    def test_a_whole_answer(
        self, server: ProviderServer, models: ProviderModels, speaker: Speaker, case: Success
    ) -> None:
        server.say(answered(speaker, case.answer))
        heard = hear(models, request(speaker, server.url))
        assert heard.failure is None
        assert heard.ended
        assert (heard.text, heard.ended.tool_calls, heard.ended.stop) == (case.text, case.calls, case.answer.stop)
        unknown = set[Meter]() if speaker.counts_reasoning else {Meter.TOKENS_REASONING}
        assert heard.ended.meters == {meter: case.meters[meter] for meter in case.meters.keys() - unknown}
        assert server.received[-1].path == speaker.wire.path

    @pytest.mark.parametrize("case", FAILURES.values(), ids=FAILURES)
    def test_a_failure(self, server: ProviderServer, models: ProviderModels, speaker: Speaker, case: Failure) -> None:
        server.say(case.reply(speaker))
        heard = hear(models, request(speaker, server.url, timeout_s=case.timeout_s))
        assert _told(heard) == (case.code, case.retry, case.usage_known, case.retry_after_s)
        assert (heard.ended, heard.text) == (None, case.text)
        assert heard.counted == (FIRST if case.counts and speaker.counts_first else {})
        assert case.message in {None, str(heard.failure)}


def _told(heard: Heard) -> tuple[str, bool, bool, float | None]:
    assert heard.failure
    return heard.failure.code, heard.failure.retry, heard.failure.usage_known, heard.failure.retry_after_s
