"""Connections to one endpoint that are kept open between requests; any thread may send."""

import select
import socket
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

_KEPT = 32
"""Idle connections; one thread uses one."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class Connections:
    """Sends requests to one endpoint.

    Args:
        url: scheme, host and port.
        connect_timeout_s: for a connection to be made.
        read_timeout_s: for each piece of an answer.
    """

    def __init__(self, url: str, *, connect_timeout_s: float, read_timeout_s: float) -> None:
        self.url = url
        parts = urlsplit(url)
        self.host = parts.netloc
        self._is_secure = parts.scheme == "https"
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._idle: deque[HTTPConnection] = deque()

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send one request and read its answer. Nothing is tried again here.

        Raises:
            EndpointConnectionError, ConnectTimeoutError: it was not sent.
            ConnectionClosedError, ReadTimeoutError: it may have been carried out.
        """
        connection = self._open()
        try:
            connection.request(method, path, body=body, headers=dict(headers))
            answer = connection.getresponse()
            reply = Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        except TimeoutError as error:
            connection.close()
            raise ReadTimeoutError(endpoint_url=self.url, error=error) from error
        except (OSError, HTTPException) as error:
            connection.close()
            raise ConnectionClosedError(endpoint_url=self.url, error=error) from error
        if answer.will_close or len(self._idle) >= _KEPT:
            connection.close()
        else:
            self._idle.append(connection)
        return reply

    def close(self) -> None:
        """End what is kept open."""
        while self._idle:
            self._idle.pop().close()

    def _open(self) -> HTTPConnection:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # Another thread was faster.
                break
            if not _is_dropped(connection):
                return connection
            connection.close()
        return self._connect()

    def _connect(self) -> HTTPConnection:
        connection = (
            HTTPSConnection(self.host, timeout=self._connect_timeout_s, context=_verifying())
            if self._is_secure
            else HTTPConnection(self.host, timeout=self._connect_timeout_s)
        )
        try:
            connection.connect()
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=self.url, error=error) from error
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=self.url, error=error) from error
        made: socket.socket = connection.sock
        made.settimeout(self._read_timeout_s)
        return connection


def _is_dropped(connection: HTTPConnection) -> bool:
    """Whether the other side has ended an idle connection: then there is something to read, its end."""
    made: socket.socket | None = connection.sock
    return made is None or bool(select.select([made], [], [], 0)[0])


@cache
def _verifying() -> ssl.SSLContext:
    """Certificates and names are checked, by the system's authorities."""
    return ssl.create_default_context()
