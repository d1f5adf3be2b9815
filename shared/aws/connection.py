"""Persistent connections to one endpoint; any thread may send.

The parser is llhttp, in C. With `http.client` or urllib3, a run would take 9 % or 19 % more CPU, and urllib3's import a
quarter of a cold start (docs/decisions/0013-calls-without-botocore.md).
"""

import select
import socket
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from httptools import HttpParserError, HttpResponseParser

from shared.deadline import bounded_s

_KEPT = 32
"""The maximum number of idle connections; one thread uses one connection."""
_READ_AT_ONCE = 65_536
_SHORTEST_TIMEOUT_S = 0.5


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    """Header names are in lower case."""
    body: bytes


class Connections:
    """A pool of connections to one endpoint.

    Args:
        url: the scheme, host and port.
        connect_timeout_s: the time limit for opening a connection.
        read_timeout_s: the time limit for each piece of a response.
    """

    def __init__(self, url: str, *, connect_timeout_s: float, read_timeout_s: float) -> None:
        self.url = url
        parts = urlsplit(url)
        self.host = parts.netloc
        self._is_secure = parts.scheme == "https"
        self._name = parts.hostname or ""
        self._port = parts.port or (443 if self._is_secure else 80)
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._idle: deque[socket.socket] = deque()

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send one request and return its response, without retries.

        Raises:
            EndpointConnectionError, ConnectTimeoutError: the request was not sent.
            ConnectionClosedError, ReadTimeoutError: the request may have been executed.
        """
        request = _written(method, path, headers, body)
        connection = self._open()
        answer = _Answer()
        try:
            connection.sendall(request)
            answer.read_from(connection)
        except TimeoutError as error:
            connection.close()
            raise ReadTimeoutError(endpoint_url=self.url, error=error) from error
        except (OSError, HttpParserError) as error:
            connection.close()
            raise ConnectionClosedError(endpoint_url=self.url, error=error) from error
        if answer.is_last or len(self._idle) >= _KEPT:
            connection.close()
        else:
            self._idle.append(connection)
        return answer.reply

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _open(self) -> socket.socket:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # Another thread took the last one.
                break
            if not _is_dropped(connection):
                connection.settimeout(_bounded_s(self._read_timeout_s))
                return connection
            connection.close()
        return self._connect()

    def _connect(self) -> socket.socket:
        try:
            made = socket.create_connection((self._name, self._port), _bounded_s(self._connect_timeout_s))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._is_secure:
                made = _verifying().wrap_socket(made, server_hostname=self._name)
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=self.url, error=error) from error
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=self.url, error=error) from error
        made.settimeout(_bounded_s(self._read_timeout_s))
        return made


class _Answer:
    """A response that is being received. The parser calls its `on_` methods."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._is_whole = False
        self.is_last = False
        """Whether the server closes the connection after this response."""

    def read_from(self, connection: socket.socket) -> None:
        """Read the response to its end.

        Raises:
            OSError, HttpParserError: the response is incomplete or invalid.
        """
        while not self._is_whole:
            piece = connection.recv(_READ_AT_ONCE)
            if not piece:
                msg = "the connection was closed before the answer's end"
                raise ConnectionResetError(msg)
            self._parser.feed_data(piece)

    @property
    def reply(self) -> Reply:
        """The complete response."""
        return Reply(self._parser.get_status_code(), self._headers, b"".join(self._body))

    def on_message_begin(self) -> None:
        """Refuse a second response to one request."""
        if self._is_whole:
            msg = "more than was asked for"
            raise ValueError(msg)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store one header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, piece: bytes) -> None:
        """Store a piece of the body."""
        self._body.append(piece)

    def on_message_complete(self) -> None:
        """Mark the response as complete. Afterwards, the parser no longer knows whether the connection is kept open."""
        self._is_whole = True
        self.is_last = not self._parser.should_keep_alive()


def _written(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the request in its wire format."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    head = "\r\n".join((*lines, f"content-length: {len(body)}", "", ""))
    # A lone CR is refused too, because some servers treat it as the end of a line.
    if {head.count("\r"), head.count("\n")} != {len(lines) + 2}:
        msg = "a header has more than one line"
        raise ValueError(msg)
    return head.encode("latin-1") + body


def _bounded_s(timeout_s: float) -> float:
    """Return the timeout, or the remaining time of the invocation; at least 0.5 s, so that one attempt can succeed."""
    return max(bounded_s(timeout_s), _SHORTEST_TIMEOUT_S)


def _is_dropped(connection: socket.socket) -> bool:
    """Return whether the server closed an idle connection, which makes its socket readable."""
    return bool(select.select([connection], [], [], 0)[0])


@cache
def _verifying() -> ssl.SSLContext:
    """Return a context that checks certificates and host names against the system's authorities."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
