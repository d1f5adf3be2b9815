"""What goes wrong with a provider, as a failure of the call: what it refuses, and connections that break."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any, cast

from services.runs.errors import ProviderFailed
from services.runs.gateways.failures import of_status

_SHOWN = 500
"""Characters of a provider's message."""
_LONGEST_RETRY_AFTER_S = 3_600.0
"""What asks for more, or for the past, is not believed."""
_PASSING = frozenset({408, 409, 424, 425})
"""Statuses below 500 that are over a moment later: timeouts, conflicts and a model that failed or is not ready."""
_KINDS = {
    "invalid_request": "ProviderRejected",
    "invalid_prompt": "ProviderRejected",
    "validation": "ProviderRejected",
    "authentication": "ProviderUnauthorized",
    "permission": "ProviderUnauthorized",
    "rate_limit": "ProviderRateLimited",
    "throttling": "ProviderRateLimited",
    "timeout": "ProviderTimeout",
}
_KEY_REFUSED = "The provider does not accept the key."
_LASTING = frozenset({"ProviderRejected", "ProviderUnauthorized"})


def of_answer(status: int, body: object, headers: Mapping[str, str], *, now: datetime) -> ProviderFailed:
    """The failure of a call that was answered with an error status."""
    if status < 400:
        return ProviderFailed("ProviderRejected", "The provider redirects elsewhere, which is not followed.")
    message = message_of(body) or f"The provider answered with status {status}."
    meant = 503 if status in _PASSING else status
    return of_status(meant, message, retry_after_s=retry_after_s(headers, now=now))


def of_event(kind: str | None, body: object, *, usage_known: bool = False) -> ProviderFailed:
    """The failure of a call that ended with an error in its stream.

    Args:
        kind: the provider's own name of the error, for example `overloaded_error`.
        body: what came with it.
        usage_known: whether it said what it had counted.
    """
    code = next((code for start, code in _KINDS.items() if (kind or "").startswith(start)), "ProviderUnavailable")
    message = message_of(body) or "The provider ended its answer with an error."
    if code == "ProviderUnauthorized":
        message = _KEY_REFUSED
    return ProviderFailed(code, message, retry=code not in _LASTING, usage_known=usage_known)


def unreadable_keys(message: str) -> ProviderFailed:
    """Nothing was sent, since our own keys cannot be read now."""
    return ProviderFailed("ProviderUnavailable", message, retry=True)


def unreachable() -> ProviderFailed:
    """No connection was made, so the provider has certainly not begun."""
    return ProviderFailed("ConnectionFailed", "The provider cannot be reached.", retry=True)


def timed_out() -> ProviderFailed:
    """The answer took too long; the provider may still be working on it."""
    return ProviderFailed("ProviderTimeout", "The provider did not answer in time.", retry=True, usage_known=False)


def broken_off() -> ProviderFailed:
    """The connection was lost after the request may have been heard."""
    message = "The connection to the provider broke off."
    return ProviderFailed("ConnectionFailed", message, retry=True, usage_known=False)


def corrupt(*, usage_known: bool = False) -> ProviderFailed:
    """What came is not what the provider's API says."""
    message = "The provider's answer cannot be read."
    return ProviderFailed("StreamCorrupt", message, retry=True, usage_known=usage_known)


def too_large(*, usage_known: bool = False) -> ProviderFailed:
    """More came than the output cap allows; the same request would be answered alike."""
    message = "The provider sent more than an answer under this output cap can hold."
    return ProviderFailed("AnswerTooLarge", message, usage_known=usage_known)


def message_of(body: object) -> str | None:
    """The provider's own error message, wherever in the body it lies; nothing else of the body."""
    if not isinstance(body, dict):
        return None
    fields = cast("dict[str, Any]", body)
    found = fields.get("error") or fields.get("message") or fields.get("Message")
    if not isinstance(found, str):
        return message_of(found)
    # Half of a character could not be written down.
    return found.strip()[:_SHOWN].encode(errors="replace").decode() or None


def retry_after_s(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """How long the provider asks to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date."""
    asked = _number(headers.get("retry-after-ms"), per_second=1_000)
    if asked is None:
        asked = _number(headers.get("retry-after"))
    if asked is None:
        asked = _until(headers.get("retry-after"), now=now)
    return asked if asked is not None and 0 <= asked <= _LONGEST_RETRY_AFTER_S else None


def _number(text: str | None, *, per_second: int = 1) -> float | None:
    try:
        number = float(text or "") / per_second
    except ValueError:
        return None
    return number if isfinite(number) else None


def _until(text: str | None, *, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
