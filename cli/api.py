"""A client of the API, and its requests as curl commands."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from cli.errors import format_error

_TIMEOUT_S = 60
_LOOPBACK = frozenset({"localhost", "127.0.0.1"})


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request; the body is sent as JSON, the token as bearer."""

    method: str
    url: str
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    token: str | None = None


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response of any status; a body that is not JSON is text."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def reason(self) -> str:
        """One line that explains an error response."""
        body = self.body
        error = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        return format_error(error) if "error" in error else f"{self.status} {body}"


class Send(Protocol):
    """Send a request and return the response, whatever its status."""

    def __call__(self, request: ApiRequest, /) -> ApiResponse:
        """Send a request."""
        ...


def send(request: ApiRequest) -> ApiResponse:
    """Send a request over HTTP, with a timeout of 60 s.

    Raises:
        OSError: the server cannot be reached.
    """
    import urllib.error  # most commands send no request, and these modules take as long to import as click
    import urllib.request

    headers = {**request.headers, **({"Authorization": f"Bearer {request.token}"} if request.token else {})}
    data = None if request.body is None else json.dumps(request.body).encode()
    if data is not None:
        headers["Content-Type"] = "application/json"
    prepared = urllib.request.Request(request.url, data=data, headers=headers, method=request.method)  # noqa: S310 — the API's own address
    # A proxy cannot reach a server on the loopback interface.
    handlers = [urllib.request.ProxyHandler({})] if urlsplit(request.url).hostname in _LOOPBACK else []
    try:
        with urllib.request.build_opener(*handlers).open(prepared, timeout=_TIMEOUT_S) as response:
            return ApiResponse(response.status, _decode(response.read()), dict(response.headers))
    except urllib.error.HTTPError as error:
        with error:
            return ApiResponse(error.code, _decode(error.read()), dict(error.headers))


def format_curl(request: ApiRequest) -> str:
    """Return the request as a curl command that reads the token from `$TOKEN`."""
    parts = ["curl -s"] if request.method == "GET" else [f"curl -s -X {request.method}"]
    if request.token:
        parts.append('-H "Authorization: Bearer $TOKEN"')
    parts += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in request.headers.items()]
    if request.body is not None:
        parts += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(json.dumps(request.body))}"]
    return " \\\n     ".join([*parts, shlex.quote(request.url)]) if len(parts) > 1 else f"{parts[0]} {request.url}"


def _decode(body: bytes) -> Any:  # noqa: ANN401 — any JSON
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
