"""The gateway's own responses, in the shape of all errors."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """One of the gateway's own responses."""

    kind: str
    """API Gateway's name of the response."""
    status: int
    error: str
    message: str

    @property
    def template(self) -> str:
        """Return the body, into which the gateway inserts the request id."""
        body = {"error": self.error, "message": self.message, "requestId": "$context.requestId"}
        return json.dumps(body, separators=(",", ":"))


_NO_ROUTE = ("NotFound", "There is no such route.")
_NO_TOKEN = ("Unauthorized", "Invalid authentication token.")
_OURS = ("InternalError", "Something went wrong on our side.")
_LATE = ("DependencyUnavailable", "The service did not answer in time.")

REFUSALS = (
    Refusal("ACCESS_DENIED", 403, "Forbidden", "Access denied."),
    Refusal("API_CONFIGURATION_ERROR", 500, *_OURS),
    Refusal("AUTHORIZER_CONFIGURATION_ERROR", 500, *_OURS),
    Refusal("AUTHORIZER_FAILURE", 500, *_OURS),
    Refusal("BAD_REQUEST_BODY", 400, "BadRequest", "The body cannot be read."),
    Refusal("BAD_REQUEST_PARAMETERS", 400, "BadRequest", "The parameters cannot be read."),
    Refusal("DEFAULT_5XX", 500, *_OURS),
    Refusal("EXPIRED_TOKEN", 401, *_NO_TOKEN),
    Refusal("INTEGRATION_FAILURE", 503, *_LATE),
    Refusal("INTEGRATION_TIMEOUT", 503, *_LATE),
    Refusal("INVALID_API_KEY", 403, "Forbidden", "Access denied."),
    Refusal("INVALID_SIGNATURE", 401, *_NO_TOKEN),
    # API Gateway's name for a path or a method that does not exist.
    Refusal("MISSING_AUTHENTICATION_TOKEN", 404, *_NO_ROUTE),
    Refusal("QUOTA_EXCEEDED", 429, "TooManyRequests", "Too many requests."),
    Refusal("REQUEST_TOO_LARGE", 413, "PayloadTooLarge", "The body is too large."),
    Refusal("RESOURCE_NOT_FOUND", 404, *_NO_ROUTE),
    Refusal("THROTTLED", 429, "TooManyRequests", "Too many requests."),
    Refusal("UNAUTHORIZED", 401, *_NO_TOKEN),
    Refusal("UNSUPPORTED_MEDIA_TYPE", 415, "UnsupportedMediaType", "The media type of the body is not supported."),
    Refusal("WAF_FILTERED", 403, "Forbidden", "Access denied."),
    # Its status varies.
    Refusal("DEFAULT_4XX", 400, "BadRequest", "The request cannot be handled."),
)
