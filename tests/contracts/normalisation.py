"""Recorded responses with stable ids and times, so that two recordings differ only where the API does."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from shared.api_keys.secret import new_secret
from shared.ids import ULID
from shared.times import from_text, to_text

BASE = datetime(2026, 11, 24, 9, tzinfo=UTC)
"""The hour in which all recordings take place."""

_HALF_HOUR, _SECOND, _HOUR = timedelta(minutes=30), timedelta(seconds=1), timedelta(hours=1)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_HOUR_OF_DAY = re.compile(r"(\d{4}-\d\d-\d\dT\d\d)(?=:\d(?!\d))")
_DATE_IN_TEXT = re.compile(r"\d{4}-\d\d-\d\d(?![T\d])")
_MONTH = re.compile(r"\d{4}-\d\d")
_ID = re.compile(rf"\b([a-z]{{2,5}})_{ULID}\b")
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_HEX = re.compile(r"\b[0-9a-f]{16,}\b")
_OF_STRIPE = re.compile(r"\b(in|il|cs|evt|sub|cus|bps)_(?:local_|test_)?[A-Za-z0-9]{8,}\b")
_SIGNATURE = re.compile(r"\?[^\"]*(?:X-Amz-|Signature=)[^\"]*")
_API_KEY = re.compile(r"\banx_[a-z]+_[0-9A-Za-z]{6,49}\b")
_LOCAL = re.compile(r"http://(?:localhost|127\.0\.0\.1):\d+(?:/_aws/execute-api/[^/]+/local)?")
_INVOICE_NUMBER = re.compile(r"\b[0-9A-F]{8}-(?=\d{4}\b)")
_EXAMPLE_KEY = new_secret("dev", hashlib.sha256(b"an example").digest())
_MEASURED = {"compute_ms": 64, "waited_ms": 64, "size_bytes": 2048, "bytes": 2048}
_SIGNED = {"policy", "x-amz-credential", "x-amz-date", "x-amz-security-token", "x-amz-signature"}
"""The fields of a presigned form."""
_LATENCY = re.compile(r"(?:mean|p\d\d)_ms")


@dataclass
class Normaliser:
    """Replaces what differs from one recording to the next.

    Args:
        began: the start of the recording. Times are moved by whole hours, to `BASE`, and days by whole days.
        names: texts to replace, for example ids of tenants.
    """

    began: datetime
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    _numbers: dict[str, int] = field(default_factory=dict[str, int])
    _moments: list[str] = field(default_factory=list[str])

    def apply(self, recorded: Any) -> Any:  # noqa: ANN401 — any JSON
        """Return the JSON with stable ids, times and measured numbers. Equal values remain equal."""
        self._moments = sorted(self._moments_in(recorded))
        return self._value(recorded, "")

    def _value(self, value: Any, name: str) -> Any:  # noqa: ANN401 — any JSON
        match value:
            case dict():
                return {key: self._value(one, key) for key, one in cast("dict[str, Any]", value).items()}
            case list():
                return [self._value(one, name) for one in cast("list[Any]", value)]
            case str() if name in _SIGNED:
                return "example"
            case int() if name in _MEASURED and value:
                return _MEASURED[name]
            case int() if _LATENCY.fullmatch(name):
                return 640
            case str() if name == "nextToken":
                return "eyJhZnRlciI6IjAxS0FUTSJ9"
            case str():
                return self._text(value)
            case _:
                return value

    def _text(self, text: str) -> str:
        if _MONTH.fullmatch(text):
            return f"{BASE:%Y-%m}"
        replaced = _SIGNATURE.sub("?X-Amz-Signature=example", _LOCAL.sub("https://api.example.com", text))
        for actual, stable in self.names.items():
            replaced = replaced.replace(actual, stable)
        for pattern, stable in self._rules():
            replaced = pattern.sub(stable, replaced)
        return replaced

    def _rules(self) -> tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]:
        return (
            (_API_KEY, lambda found: _EXAMPLE_KEY if len(found[0]) > len(_EXAMPLE_KEY) / 2 else _EXAMPLE_KEY[:14]),
            (_TIME, lambda found: self._moment(found[0])),
            (_HOUR_OF_DAY, lambda found: f"{self._moved(_utc(f'{found[0]}:00')):%Y-%m-%dT%H}"),
            (_DATE_IN_TEXT, lambda found: f"{self._moved(_utc(found[0])):%Y-%m-%d}"),
            (_ID, lambda found: f"{found[1]}_01KATM3XW8P5Q7E9R2T4Y6{self._number(found[0]):04}"),
            (_UUID, lambda found: f"3f1c7a52-6d0e-4b8f-9a57-{self._number(found[0]):012}"),
            (_HEX, lambda found: hashlib.sha256(str(self._number(found[0])).encode()).hexdigest()[: len(found[0])]),
            (_INVOICE_NUMBER, lambda _: "F47F477F-"),
            (_OF_STRIPE, lambda found: f"{found[1]}_1QKxYz2eZvKYlo{self._number(found[0]):04}"),
        )

    def _number(self, identifier: str) -> int:
        return self._numbers.setdefault(identifier, len(self._numbers) + 1)

    def _moment(self, text: str) -> str:
        """Return a time of the recording as its rank, a second apart. Others keep their distance in hours."""
        if text in self._moments:
            return to_text(BASE + _HALF_HOUR + self._moments.index(text) * _SECOND)
        return to_text(self._moved(from_text(text)))

    def _moved(self, moment: datetime) -> datetime:
        if moment == _midnight(moment):
            return _midnight(BASE) + (moment - _midnight(self.began))
        started = self.began.replace(minute=0, second=0, microsecond=0)
        return BASE + (moment - started) // _HOUR * _HOUR

    def _moments_in(self, recorded: Any) -> set[str]:  # noqa: ANN401 — any JSON
        match recorded:
            case dict():
                return set[str]().union(*map(self._moments_in, cast("dict[str, Any]", recorded).values()))
            case list():
                return set[str]().union(*map(self._moments_in, cast("list[Any]", recorded)))
            case str():
                return {text for text in _TIME.findall(recorded) if self._is_within(from_text(text))}
            case _:
                return set()

    def _is_within(self, moment: datetime) -> bool:
        return self.began <= moment <= self.began + _HOUR and bool(moment.minute or moment.second or moment.microsecond)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
