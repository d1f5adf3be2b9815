"""A request from API Gateway (REST API, Lambda proxy integration), parsed once.

https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from shared.errors import Detail, InvalidRequest, Malformed, UnsupportedMediaType
from shared.freejson import NotAcceptable, check_depth

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
"""The media type of a JSON merge patch (RFC 7396)."""
MAX_BODY_BYTES = 1024 * 1024
MAX_PATH_PART = 128
NOT_VALID = "The request is not valid."


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of a request that the application checks before the resolver runs."""

    method: str
    resource: str
    """The path of the route, with its `{names}`."""
    path: str
    request_id: str
    headers: Mapping[str, str]
    """Header names are in lower case."""
    query_names: frozenset[str]
    path_tenant: str | None
    authorizer: Mapping[str, Any]
    """The context of the authorizer (`shared.tenancy.claims`); empty for a route without one."""
    body: str
    address: str
    """The IP address of the caller."""
    received_at_ms: int | None
    """The time at which the gateway received the request, in milliseconds since 1970."""

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> "Request":
        """Return the request in a gateway event."""
        context = cast("dict[str, Any]", event["requestContext"])
        return cls(
            method=str(event["httpMethod"]),
            resource=str(event.get("resource") or ""),
            path=str(event["path"]),
            request_id=str(context.get("requestId", "")),
            headers={name.lower(): value for name, value in _texts(event, "headers").items()},
            query_names=frozenset(_texts(event, "queryStringParameters")),
            path_tenant=_texts(event, "pathParameters").get("tenant_id"),
            authorizer=cast("dict[str, Any]", context.get("authorizer") or {}),
            body=str(event.get("body") or ""),
            address=str(_texts(context, "identity").get("sourceIp", "")),
            received_at_ms=context.get("requestTimeEpoch"),
        )

    @property
    def too_large(self) -> bool:
        """Whether the body exceeds 1 MiB."""
        return len(self.body) > MAX_BODY_BYTES or len(self.body.encode(errors="surrogatepass")) > MAX_BODY_BYTES

    @property
    def has_odd_path(self) -> bool:
        """Whether a part of the path is longer than any name of the platform, or has a character that no name has."""
        return not self.path.isprintable() or any(len(part) > MAX_PATH_PART for part in self.path.split("/"))

    @property
    def media_type(self) -> str:
        """The media type of the body, in lower case and without parameters; JSON if the client does not name one."""
        return (self.headers.get("content-type") or JSON).partition(";")[0].strip().lower()

    @property
    def _accepted_media_types(self) -> tuple[str, ...]:
        return (JSON, MERGE_PATCH) if self.method in {"PATCH", "PUT"} else (JSON,)

    def check_json(self) -> None:
        """Check that the body is JSON that can be parsed and serialized again.

        Raises:
            UnsupportedMediaType: the body is declared as something else.
            Malformed: the body is not JSON or not Unicode.
            InvalidRequest: the body is nested deeper than 64 levels.
        """
        if not self.body:
            return
        if self.media_type not in self._accepted_media_types:
            msg = f"Send the body as {' or '.join(self._accepted_media_types)}."
            raise UnsupportedMediaType(msg)
        try:
            parsed = json.loads(self.body, parse_constant=_refuse_constant, parse_float=_finite)
            self.body.encode()
            if "\\ud" in self.body.lower():
                json.dumps(parsed, ensure_ascii=False).encode()
            check_depth(parsed)
        except NotAcceptable as error:
            raise InvalidRequest(NOT_VALID, [Detail("body", error.reason)]) from error
        except (ValueError, RecursionError) as error:
            msg = "The body is not valid JSON."
            raise Malformed(msg) from error

    def text_in_body(self, name: str) -> str | None:
        """Return a text of the body, or None. It is a hint, because the body has not been validated yet."""
        try:
            found = json.loads(self.body).get(name)
        except (ValueError, RecursionError, AttributeError):
            return None
        return found if isinstance(found, str) else None

    @property
    def fingerprint(self) -> str:
        """A hash that is equal only for the same path and body."""
        return hashlib.sha256(json.dumps([self.path, self.body]).encode()).hexdigest()


def _refuse_constant(name: str) -> None:
    """Refuse `NaN` and `Infinity`, which Python accepts and JSON does not have."""
    raise ValueError(name)


def _finite(text: str) -> float:
    """Return a number, and refuse one that JSON cannot represent, such as `1e400`."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _texts(event: Mapping[str, Any], name: str) -> dict[str, str]:
    return cast("dict[str, str]", event.get(name) or {})
