"""The client that asks both sides: one kept connection, one request after the other."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass
class Client:
    """Asks one server, and notes how long each answer took."""

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
        """Let the connection go, which a server may have given up meanwhile; the next request opens another one."""
        self._connection.close()

    def post(self, body: Mapping[str, Any]) -> bytes:
        """One request; an answer that is no success is the end of the measurement."""
        began = time.perf_counter()
        headers = {"Content-Type": "application/json", **self.headers}
        self._connection.request("POST", self._path, json.dumps(body), headers)
        answer = self._connection.getresponse()
        said = answer.read()
        self.seconds.append(time.perf_counter() - began)
        if answer.status not in {200, 201}:
            msg = f"{self.url} answered {answer.status}: {said[:500]!r}"
            raise RuntimeError(msg)
        return said
