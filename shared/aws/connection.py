"""Connections to one endpoint that are kept open between requests; any thread may send.

The parser is llhttp, in C: with `http.client`, whose headers are parsed like those of mail, a third of the CPU of a run
went there (docs/decisions/0013-calls-without-botocore.md).
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
"""Idle connections; one thread uses one."""
_READ_AT_ONCE = 65_536
_SHORTEST_TIMEOUT_S = 0.5


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
        self._name = parts.hostname or ""
        self._port = parts.port or (443 if self._is_secure else 80)
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._idle: deque[socket.socket] = deque()

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send one request and read its answer. Nothing is tried again here.

        Raises:
            EndpointConnectionError, ConnectTimeoutError: it was not sent.
            ConnectionClosedError, ReadTimeoutError: it may have been carried out.
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
        """End what is kept open."""
        while self._idle:
            self._idle.pop().close()

    def _open(self) -> socket.socket:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # Another thread was faster.
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
    """What has come of an answer; the parser calls it."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._is_whole = False
        self.is_last = False
        """Whether the other side ends the connection after it."""

    def read_from(self, connection: socket.socket) -> None:
        """Read until its end.

        Raises:
            OSError, HttpParserError: it is cut off, or no answer.
        """
        while not self._is_whole:
            piece = connection.recv(_READ_AT_ONCE)
            if not piece:
                msg = "the connection was closed before the answer's end"
                raise ConnectionResetError(msg)
            self._parser.feed_data(piece)

    @property
    def reply(self) -> Reply:
        """The answer."""
        return Reply(self._parser.get_status_code(), self._headers, b"".join(self._body))

    def on_message_begin(self) -> None:
        """Only one answer was asked for."""
        if self._is_whole:
            msg = "more than was asked for"
            raise ValueError(msg)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self._body.append(piece)

    def on_message_complete(self) -> None:
        """Its end; later the parser has forgotten whether the connection is kept."""
        self._is_whole = True
        self.is_last = not self._parser.should_keep_alive()


def _written(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """The request as it is sent."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    head = "\r\n".join((*lines, f"content-length: {len(body)}", "", ""))
    # A lone CR too: some take it for the end of a line.
    if {head.count("\r"), head.count("\n")} != {len(lines) + 2}:
        msg = "a header has more than one line"
        raise ValueError(msg)
    return head.encode("latin-1") + body


def _bounded_s(timeout_s: float) -> float:
    """Return the timeout, or the rest of the invocation's time; never nothing, so that one attempt can succeed."""
    return max(bounded_s(timeout_s), _SHORTEST_TIMEOUT_S)


def _is_dropped(connection: socket.socket) -> bool:
    """Whether the other side has ended an idle connection: then there is something to read, its end."""
    return bool(select.select([connection], [], [], 0)[0])


@cache
def _verifying() -> ssl.SSLContext:
    """Certificates and names are checked, by the system's authorities."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
