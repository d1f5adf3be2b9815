"""Errors as answers: the only place that knows status codes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

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
)
from shared.tenancy.claims import InvalidToken
from shared.times import to_text

# The first class that fits decides, so a subclass stands before its base.
STATUSES: tuple[tuple[type[AinexusError], int, str], ...] = (
    (InvalidToken, 401, "Unauthorized"),
    (Malformed, 400, "BadRequest"),
    (TooLarge, 413, "PayloadTooLarge"),
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


class FieldError(BaseModel):
    """One thing that is wrong with the input."""

    field: str
    message: str


class ErrorBody(BaseModel):
    """The shape of every error."""

    error: str
    message: str
    requestId: str  # noqa: N815 — the name on the wire
    details: list[FieldError] | None = None
    resets_at: str | None = None


def error_answer(error: Exception, *, request_id: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, body and headers of an error; one that is not ours says nothing of itself."""
    body: dict[str, Any] = {"error": "InternalError", "message": "Something went wrong on our side."}
    status, headers = 500, dict[str, str]()
    if isinstance(error, LimitReached):
        status, body = _limit_reached(error)
    elif isinstance(error, AinexusError):
        status, code = next((status, code) for kind, status, code in STATUSES if isinstance(error, kind))
        body = {"error": code, "message": str(error)}
    if isinstance(error, InvalidRequest) and error.details:
        body["details"] = [{"field": detail.field, "message": detail.message} for detail in error.details]
    if isinstance(error, DependencyUnavailable) and error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    return status, body | {"requestId": request_id}, headers


def _limit_reached(error: LimitReached) -> tuple[int, dict[str, Any]]:
    body: dict[str, Any] = {"error": "LimitReached", "message": str(error)}
    if error.resets_at is None:
        return 409, body
    return 429, body | {"resets_at": to_text(error.resets_at)}


def from_validation(errors: Sequence[Mapping[str, Any]]) -> InvalidRequest:
    """Our error for what pydantic found; a body that is not JSON at all is malformed."""
    if any(error["type"] == "json_invalid" for error in errors):
        return Malformed("The body is not valid JSON.")
    details = [Detail(_field(error["loc"]), _message(error)) for error in errors]
    return InvalidRequest("The request is not valid.", details)


def _field(location: Sequence[object]) -> str:
    """`body.config.model`, without the name of our own parameter."""
    source, *path = [str(part) for part in location]
    if source != "body":
        path = path[-1:]
    return ".".join(path) if path else source


def _message(error: Mapping[str, Any]) -> str:
    """Pydantic's words, or those of its error type, without what the caller has sent."""
    return str(error.get("msg") or re.sub("_", " ", str(error["type"])))
