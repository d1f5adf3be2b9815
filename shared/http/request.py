"""A request as API Gateway hands it over (REST API, Lambda proxy integration), read once.

https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from shared.errors import Detail, InvalidRequest, Malformed
from shared.freejson import NotAcceptable, check_depth

JSON = "application/json"
MAX_BODY_BYTES = 1024 * 1024
MAX_PATH_PART = 128
NOT_VALID = "The request is not valid."


@dataclass(frozen=True, slots=True)
class Request:
    """What the application looks at before the resolver does."""

    method: str
    resource: str
    """The route's path with its `{names}`."""
    path: str
    request_id: str
    headers: Mapping[str, str]
    """Names in lower case."""
    query_names: frozenset[str]
    path_tenant: str | None
    claims: Mapping[str, Any] | None
    """Of the authorizer; None when the route asks for no token."""
    body: str
    address: str
    """The caller's internet number."""
    received_at_ms: int | None
    """When the gateway received it, in milliseconds since 1970."""

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> "Request":
        """The request in this event."""
        context = cast("dict[str, Any]", event["requestContext"])
        authorizer = cast("dict[str, Any]", context.get("authorizer") or {})
        return cls(
            method=str(event["httpMethod"]),
            resource=str(event.get("resource") or ""),
            path=str(event["path"]),
            request_id=str(context.get("requestId", "")),
            headers={name.lower(): value for name, value in _texts(event, "headers").items()},
            query_names=frozenset(_texts(event, "queryStringParameters")),
            path_tenant=_texts(event, "pathParameters").get("tenant_id"),
            claims=authorizer.get("claims"),
            body=str(event.get("body") or ""),
            address=str(_texts(context, "identity").get("sourceIp", "")),
            received_at_ms=context.get("requestTimeEpoch"),
        )

    @property
    def too_large(self) -> bool:
        """Whether the body is over 1 MiB."""
        return len(self.body) > MAX_BODY_BYTES or len(self.body.encode(errors="surrogatepass")) > MAX_BODY_BYTES

    @property
    def has_odd_path(self) -> bool:
        """Whether a part of the path is longer than any name that we give, or holds a character that no name has."""
        return not self.path.isprintable() or any(len(part) > MAX_PATH_PART for part in self.path.split("/"))

    def check_json(self) -> None:
        """Refuse a body that cannot be read, or not be written again: not JSON, broken, too deep, or not Unicode.

        Raises:
            Malformed: it cannot be read.
            InvalidRequest: it is nested deeper than 64 levels.
        """
        if not self.body:
            return
        if not _is_json(self.headers.get("content-type") or JSON):
            msg = "The body must be sent as application/json."
            raise Malformed(msg)
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
        """A text in the body, if there is one of this name: a hint, since nothing has been checked yet."""
        try:
            found = json.loads(self.body).get(name)
        except (ValueError, RecursionError, AttributeError):
            return None
        return found if isinstance(found, str) else None

    @property
    def fingerprint(self) -> str:
        """The same for the same request only."""
        return hashlib.sha256(json.dumps([self.path, self.body]).encode()).hexdigest()


def _refuse_constant(name: str) -> None:
    """`NaN` and `Infinity`, which Python reads and JSON does not have."""
    raise ValueError(name)


def _finite(text: str) -> float:
    """A number that can be written again; `1e400` cannot."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip() == JSON


def _texts(event: Mapping[str, Any], name: str) -> dict[str, str]:
    return cast("dict[str, str]", event.get(name) or {})
