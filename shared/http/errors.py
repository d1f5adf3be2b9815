"""Error responses. No other module maps errors to status codes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from shared.errors import (
    AinexusError,
    Conflict,
    DependencyUnavailable,
    Detail,
    Forbidden,
    IdempotencyKeyReused,
    InvalidRequest,
    LimitReached,
    Malformed,
    NotFound,
    PaymentRequired,
    PreconditionFailed,
    TooLarge,
    TooManyRequests,
    UnsupportedMediaType,
)
from shared.schema import DocumentedModel
from shared.tenancy.claims import InvalidToken
from shared.times import to_text
from shared.validation import message_of, path_of

# The first matching class applies, so a subclass comes before its base.
STATUSES: tuple[tuple[type[AinexusError], int, str], ...] = (
    (InvalidToken, 401, "Unauthorized"),
    (Malformed, 400, "BadRequest"),
    (TooLarge, 413, "PayloadTooLarge"),
    (UnsupportedMediaType, 415, "UnsupportedMediaType"),
    (IdempotencyKeyReused, 422, "IdempotencyKeyReused"),
    (InvalidRequest, 422, "ValidationFailed"),
    (NotFound, 404, "NotFound"),
    (PaymentRequired, 402, "PaymentRequired"),
    (Forbidden, 403, "Forbidden"),
    (Conflict, 409, "Conflict"),
    (PreconditionFailed, 412, "PreconditionFailed"),
    (TooManyRequests, 429, "TooManyRequests"),
    (DependencyUnavailable, 503, "DependencyUnavailable"),
)


_UNPRINTABLE = re.compile(r"[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MAX_FIELD_CHARS = 300


class FieldError(DocumentedModel):
    """An error in one field of the input."""

    field: str
    """The path of the field, for example `config.model`."""
    message: str
    """The reason, without the value of the field."""


class LimitShortage(DocumentedModel):
    """A monthly limit of which too little is left for the request."""

    unit: Literal["tokens", "requests"]
    """`tokens` or `requests`."""
    limit: int
    """The monthly limit."""
    needed: int
    """The least amount with which the request would have been accepted."""
    left: int
    """The amount that is left now."""


class ErrorBody(DocumentedModel):
    """The format of every error."""

    error: str
    message: str
    """A sentence for people; it may change."""
    requestId: str  # noqa: N815 — the name on the wire
    details: list[FieldError] | None = None
    """The invalid fields."""
    resets_at: str | None = None
    """The time at which the limit renews; only of a monthly limit."""
    shortage: LimitShortage | None = None
    """Of a monthly limit. `GET /v1/tenants/{tenant_id}/budget` has all numbers."""


def error_response(error: Exception, *, request_id: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return the status, body and headers of an error. An internal error reveals no details."""
    body: dict[str, Any] = {"error": "InternalError", "message": "Something went wrong on our side."}
    status, headers = 500, dict[str, str]()
    if isinstance(error, LimitReached):
        status, body, headers = _limit_reached(error)
    elif isinstance(error, AinexusError):
        status, code = next((status, code) for kind, status, code in STATUSES if isinstance(error, kind))
        body = {"error": code, "message": str(error)}
    if isinstance(error, InvalidRequest) and error.details:
        body["details"] = [{"field": detail.field, "message": detail.message} for detail in error.details]
    if isinstance(error, DependencyUnavailable) and error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    return status, body | {"requestId": request_id}, headers


def _limit_reached(error: LimitReached) -> tuple[int, dict[str, Any], dict[str, str]]:
    body: dict[str, Any] = {"error": "LimitReached", "message": str(error)}
    if error.resets_at is None:
        return 409, body, {}
    body["resets_at"] = to_text(error.resets_at)
    if error.shortage is None:
        return 429, body, {}
    headers = rate_limit_headers({error.shortage.unit: (error.shortage.limit, error.shortage.left)})
    return 429, body | {"shortage": asdict(error.shortage)}, headers


def rate_limit_headers(limits: Mapping[str, tuple[int, int]]) -> dict[str, str]:
    """Return the headers of monthly limits, each with its limit and the amount that is left.

    https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
    """
    if not limits:
        return {}
    policies = (f'"{unit}";q={limit}' for unit, (limit, _) in limits.items())
    remainders = (f'"{unit}";r={left}' for unit, (_, left) in limits.items())
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(remainders)}


def from_validation(errors: Sequence[Mapping[str, Any]]) -> InvalidRequest:
    """Return the error for pydantic's findings. A body that is not JSON is malformed."""
    if any(error["type"] == "json_invalid" for error in errors):
        return Malformed("The body is not valid JSON.")
    details = [Detail(_field(error["loc"]), message_of(error)) for error in errors]
    return InvalidRequest("The request is not valid.", details)


def _field(location: Sequence[object]) -> str:
    """Return the path of a field, for example `body.config.model`, without the name of the handler's parameter."""
    source, *path = path_of(location)
    if source != "body":
        path = path[-1:]
    name = ".".join(path) if path else source
    return _UNPRINTABLE.sub("\ufffd", name)[:_MAX_FIELD_CHARS]
