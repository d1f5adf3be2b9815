"""Errors of the OpenAPI document by status, each with its codes and an example of each."""

from typing import Any

from shared.http.errors import ErrorBody

_REQUEST_ID = "3f1c7a52-6d0e-4b8f-9a57-0c2e8d41b6f3"

FAILURES: dict[str, tuple[str, dict[str, str]]] = {
    "400": ("The request cannot be read.", {"BadRequest": "The body is not valid JSON."}),
    "401": ("The id token is missing or invalid.", {"Unauthorized": "Invalid authentication token."}),
    "402": (
        "The tenant is suspended until it has paid.",
        {"PaymentRequired": "The tenant is suspended until its invoice is paid."},
    ),
    "403": (
        "The caller's role, features or tenant do not permit the request.",
        {"Forbidden": "Access denied."},
    ),
    "404": ("There is no such resource.", {"NotFound": "There is no such run."}),
    "409": (
        "The state of the resource does not permit the request, or a limit that does not reset is reached.",
        {"Conflict": "The run has ended already.", "LimitReached": "The plan allows no more projects."},
    ),
    "412": (
        "The resource has changed since it was read.",
        {"PreconditionFailed": "The resource has changed since it was read."},
    ),
    "413": ("The body is over 1 MiB.", {"PayloadTooLarge": "The body is over 1 MiB."}),
    "415": (
        "The media type of the body is not supported.",
        {"UnsupportedMediaType": "Send the body as application/json."},
    ),
    "422": (
        "The request is not valid.",
        {
            "ValidationFailed": "The request is not valid.",
            "IdempotencyKeyReused": "This Idempotency-Key was used with another request.",
        },
    ),
    "429": (
        "A limit of the plan is reached, or there are too many requests.",
        {"LimitReached": "The tokens of this month are used up.", "TooManyRequests": "Too many requests."},
    ),
    "500": ("Something went wrong on our side.", {"InternalError": "Something went wrong on our side."}),
    "503": (
        "A dependency is unavailable. Retry after `Retry-After` seconds.",
        {"DependencyUnavailable": "The database is unavailable. It is safe to retry the request."},
    ),
}
"""The description, and an example message by code."""

_MORE: dict[str, dict[str, Any]] = {
    "ValidationFailed": {"details": [{"field": "config.model", "message": "is required"}]},
    "429 LimitReached": {
        "resets_at": "2026-12-01T00:00:00.000Z",
        "shortage": {"unit": "tokens", "limit": 100_000, "needed": 1_350, "left": 420},
    },
}


def codes() -> list[str]:
    """Return every code that the field `error` can have."""
    return sorted({code for _, messages in FAILURES.values() for code in messages})


def examples_of(status: str) -> dict[str, Any]:
    """Return an example for each error code of a status."""
    return {code: {"value": _example(status, code, text)} for code, text in FAILURES[status][1].items()}


def _example(status: str, code: str, message: str) -> dict[str, Any]:
    more = _MORE.get(code) or _MORE.get(f"{status} {code}") or {}
    body = ErrorBody.model_validate({"error": code, "message": message, "requestId": _REQUEST_ID, **more})
    return body.model_dump(exclude_none=True)
