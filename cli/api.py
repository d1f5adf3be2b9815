"""The API as a client uses it, and the same call as a person would type it."""

import json
import shlex
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from cli.errors import reason_of

_PATIENCE_S = 60
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request."""

    method: str
    url: str
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def reason(self) -> str:
        """Why it is no success, in one line."""
        body = self.body
        said = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        return reason_of(said) if "error" in said else f"{self.status} {body}"


class Send(Protocol):
    """Sends a request and gives back what is answered, whatever its status."""

    def __call__(self, request: Request, /) -> Answer:
        """Send it."""
        ...


def send(request: Request) -> Answer:
    """Send a request over HTTP."""
    headers = {**request.headers, **({"Authorization": f"Bearer {request.token}"} if request.token else {})}
    data = None if request.body is None else json.dumps(request.body).encode()
    if data is not None:
        headers["Content-Type"] = "application/json"
    prepared = urllib.request.Request(request.url, data=data, headers=headers, method=request.method)  # noqa: S310 — the API's own address
    # No proxy could find what listens on this machine alone.
    direct = [urllib.request.ProxyHandler({})] if urlsplit(request.url).hostname in _THIS_MACHINE else []
    try:
        with urllib.request.build_opener(*direct).open(prepared, timeout=_PATIENCE_S) as answer:
            return Answer(answer.status, _decode(answer.read()), dict(answer.headers))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _decode(error.read()), dict(error.headers))


def curl_of(request: Request) -> str:
    """The request as a command; the token stands in `$TOKEN`."""
    parts = ["curl -s"] if request.method == "GET" else [f"curl -s -X {request.method}"]
    if request.token:
        parts.append('-H "Authorization: Bearer $TOKEN"')
    parts += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in request.headers.items()]
    if request.body is not None:
        parts += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(json.dumps(request.body))}"]
    return " \\\n     ".join([*parts, shlex.quote(request.url)]) if len(parts) > 1 else f"{parts[0]} {request.url}"


def _decode(body: bytes) -> Any:  # noqa: ANN401 — whatever JSON holds
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
