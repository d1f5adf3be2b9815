"""The errors as the OpenAPI document names them: by status, each with its codes and an example of each."""

from typing import Any

from shared.http.errors import ErrorBody

_REQUEST_ID = "3f1c7a52-6d0e-4b8f-9a57-0c2e8d41b6f3"

FAILURES: dict[str, tuple[str, dict[str, str]]] = {
    "400": ("The request cannot be read.", {"BadRequest": "The body is not valid JSON."}),
    "401": ("There is no valid id token.", {"Unauthorized": "Invalid authentication token"}),
    "402": (
        "The tenant is suspended until it has paid.",
        {"PaymentRequired": "The tenant is suspended until its invoice is paid."},
    ),
    "403": ("The role, a feature or the path does not allow it.", {"Forbidden": "Access denied"}),
    "404": ("There is no such resource.", {"NotFound": "There is no such run."}),
    "409": (
        "The state of the resource, or a limit that does not renew, does not allow it.",
        {"Conflict": "The run has ended already.", "LimitReached": "The plan allows no more projects."},
    ),
    "412": (
        "The resource has changed since it was read.",
        {"PreconditionFailed": "The resource has changed since it was read."},
    ),
    "413": ("The body is over 1 MiB.", {"PayloadTooLarge": "The body is over 1 MiB."}),
    "422": (
        "The request is not valid.",
        {
            "ValidationFailed": "The request is not valid.",
            "IdempotencyKeyReused": "This Idempotency-Key was used with another request.",
        },
    ),
    "429": (
        "A limit of the plan is reached, or there are too many requests.",
        {"LimitReached": "The tokens of this month are used up.", "TooManyRequests": "Too many requests"},
    ),
    "500": ("Something went wrong on our side.", {"InternalError": "Something went wrong on our side."}),
    "503": (
        "Something that is needed does not answer.",
        {"DependencyUnavailable": "The agent is not known here yet; try again."},
    ),
}
"""Description, and messages by code."""

_MORE: dict[str, dict[str, Any]] = {
    "ValidationFailed": {"details": [{"field": "config.model", "message": "Field required"}]},
    "429 LimitReached": {"resets_at": "2026-12-01T00:00:00.000Z"},
}


def codes() -> list[str]:
    """Every code that `error` may hold."""
    return sorted({code for _, messages in FAILURES.values() for code in messages})


def examples_of(status: str) -> dict[str, Any]:
    """An error of each code that this status is answered with."""
    return {code: {"value": _example(status, code, text)} for code, text in FAILURES[status][1].items()}


def _example(status: str, code: str, message: str) -> dict[str, Any]:
    more = _MORE.get(code) or _MORE.get(f"{status} {code}") or {}
    body = ErrorBody.model_validate({"error": code, "message": message, "requestId": _REQUEST_ID, **more})
    return body.model_dump(exclude_none=True)
