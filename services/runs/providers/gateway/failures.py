"""Conversion of provider errors and broken connections to the failure of a call."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any, cast

from services.runs.errors import ProviderFailed
from services.runs.providers.gateway.refusals import unsupported_names
from services.runs.providers.gateway.statuses import of_status

_ERROR_EXCERPT_CHARS = 500
"""The maximum length, in characters, of a provider's message."""
_MAX_RETRY_AFTER_S = 3_600.0
"""Longer and negative values of Retry-After are ignored."""
_TRANSIENT = frozenset({408, 409, 424, 425})
"""Statuses below 500 that are temporary: timeouts, conflicts, and a model that failed or is not ready."""
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
_PERMANENT = frozenset({"ProviderRejected", "ProviderUnauthorized"})


def of_response(status: int, body: object, headers: Mapping[str, str], *, now: datetime) -> ProviderFailed:
    """Return the failure of a call that was answered with an error status."""
    if status < 400:
        return ProviderFailed("ProviderRejected", "The provider redirects elsewhere, which is not followed.")
    message = message_of(body) or f"The provider answered with status {status}."
    meant = 503 if status in _TRANSIENT else status
    failure = of_status(meant, message, retry_after_s=retry_after_s(headers, now=now))
    failure.unsupported = unsupported_names(status, body, message)
    return failure


def of_event(kind: str | None, body: object, *, usage_known: bool = False) -> ProviderFailed:
    """Return the failure of a call whose stream ended with an error.

    Args:
        kind: the provider's name of the error, for example `overloaded_error`.
        body: the body of the error.
        usage_known: whether the error included the usage.
    """
    code = next((code for start, code in _KINDS.items() if (kind or "").startswith(start)), "ProviderUnavailable")
    message = message_of(body) or "The provider ended its answer with an error."
    if code == "ProviderUnauthorized":
        message = _KEY_REFUSED
    return ProviderFailed(code, message, retry=code not in _PERMANENT, usage_known=usage_known)


def unreadable_keys(message: str) -> ProviderFailed:
    """Return the failure of a call that was not sent, because our keys cannot be read now."""
    return ProviderFailed("ProviderUnavailable", message, retry=True)


def unreachable() -> ProviderFailed:
    """Return the failure of a call without a connection, which the provider has certainly not begun."""
    return ProviderFailed("ConnectionFailed", "The provider cannot be reached.", retry=True)


def timed_out() -> ProviderFailed:
    """Return the failure of a call that took too long; the provider may still be working on it."""
    return ProviderFailed("ProviderTimeout", "The provider did not answer in time.", retry=True, usage_known=False)


def broken_off() -> ProviderFailed:
    """Return the failure of a lost connection; the provider may have received the request."""
    message = "The connection to the provider broke off."
    return ProviderFailed("ConnectionFailed", message, retry=True, usage_known=False)


def corrupt(*, usage_known: bool = False) -> ProviderFailed:
    """Return the failure of an answer that does not conform to the provider's API."""
    message = "The provider's answer cannot be read."
    return ProviderFailed("StreamCorrupt", message, retry=True, usage_known=usage_known)


def invalid_call(message: str) -> ProviderFailed:
    """Return the failure of a complete answer with a tool call that no client can execute."""
    return ProviderFailed("ToolCallInvalid", message, retry=True)


def too_large(*, usage_known: bool = False) -> ProviderFailed:
    """Return the failure of an answer that exceeds the output cap; a retry would have the same result."""
    message = "The provider sent more than an answer under this output cap can hold."
    return ProviderFailed("AnswerTooLarge", message, usage_known=usage_known)


def message_of(body: object) -> str | None:
    """Return the provider's error message from anywhere in the body, and nothing else of the body."""
    if not isinstance(body, dict):
        return None
    fields = cast("dict[str, Any]", body)
    error = fields.get("error") or fields.get("message") or fields.get("Message")
    if not isinstance(error, str):
        return message_of(error)
    # A lone half of a surrogate pair cannot be encoded.
    return error.strip()[:_ERROR_EXCERPT_CHARS].encode(errors="replace").decode() or None


def retry_after_s(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return the seconds to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date; None if missing."""
    delay_s = _number(headers.get("retry-after-ms"), per_second=1_000)
    if delay_s is None:
        delay_s = _number(headers.get("retry-after"))
    if delay_s is None:
        delay_s = _until(headers.get("retry-after"), now=now)
    return delay_s if delay_s is not None and 0 <= delay_s <= _MAX_RETRY_AFTER_S else None


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
