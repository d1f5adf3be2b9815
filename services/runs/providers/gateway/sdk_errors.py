"""Conversion of SDK exceptions to failures; openai and anthropic raise the same kinds over one transport."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import httpx2

from services.runs.errors import ProviderFailed
from services.runs.providers.gateway.failures import broken_off, corrupt, of_event, of_response, timed_out, unreachable
from shared.times import utc_now

_NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)
_UNREADABLE = (ValueError, TypeError, AttributeError, KeyError, RecursionError)
"""Exceptions caused by an answer of another format: the SDKs build their objects without validation."""


@contextmanager
def translated_errors(sdk: type[Exception]) -> Generator[None]:
    """Convert the exceptions of this block to failures of the provider.

    The exceptions themselves are not chained: they contain the request, and the request contains the key.

    Args:
        sdk: the base class of the SDK's exceptions.

    Raises:
        ProviderFailed: the call did not end with an answer.
    """
    try:
        yield
    except ProviderFailed:
        raise
    except (sdk, httpx2.HTTPError, httpx2.StreamError) as error:
        raise _failure(error) from None
    except _UNREADABLE:
        raise corrupt() from None


def _failure(error: Exception) -> ProviderFailed:
    cause = error if isinstance(error, httpx2.HTTPError) else error.__cause__
    if isinstance(cause, ProviderFailed):
        return cause
    if isinstance(cause, httpx2.HTTPError | httpx2.StreamError):
        return _of_connection(cause)
    response: object = getattr(error, "response", None)
    body: object = getattr(error, "body", None)
    if isinstance(response, httpx2.Response) and not response.is_success:
        return of_response(response.status_code, body, response.headers, now=utc_now())
    return of_event(_kind(body), body)


def _of_connection(error: httpx2.HTTPError | httpx2.StreamError) -> ProviderFailed:
    if isinstance(error, _NEVER_SENT):
        return unreachable()
    if isinstance(error, httpx2.TimeoutException):
        return timed_out()
    return corrupt() if isinstance(error, httpx2.DecodingError) else broken_off()


def _kind(body: object) -> str | None:
    """Return the type of an error in an event, or its code."""
    if not isinstance(body, Mapping):
        return None
    fields = cast("Mapping[str, Any]", body)
    inner = fields.get("error")
    if isinstance(inner, Mapping):
        return _kind(cast("object", inner))
    return next((kind for kind in (fields.get("type"), fields.get("code")) if isinstance(kind, str)), None)
