"""The HTTP client for both sides: one persistent connection, and one request at a time."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass
class ApiClient:
    """A client of one server, which records the duration of each request."""

    url: str
    headers: Mapping[str, str]
    seconds: list[float] = field(default_factory=list[float])

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self._path = parts.path
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def renew(self) -> None:
        """Close the connection, which the server may have closed meanwhile. The next request opens another one."""
        self._connection.close()

    def post(self, body: Mapping[str, Any]) -> bytes:
        """Send one request and return the body of the response.

        Raises:
            RuntimeError: the response is not a success, which ends the measurement.
        """
        began = time.perf_counter()
        headers = {"Content-Type": "application/json", **self.headers}
        self._connection.request("POST", self._path, json.dumps(body), headers)
        response = self._connection.getresponse()
        response_body = response.read()
        self.seconds.append(time.perf_counter() - began)
        if response.status not in {200, 201}:
            msg = f"{self.url} answered {response.status}: {response_body[:500]!r}"
            raise RuntimeError(msg)
        return response_body
