"""The clients that are compared. All raise botocore's errors and respect the deadline of the invocation."""

import http.client
import socket
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

import urllib3
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from urllib3.util.wait import wait_for_read

from shared.aws.connection import Connections, Reply
from shared.deadline import bounded_s

_MAX_IDLE = 32
CONNECT_S, READ_S = 2.0, 10.0


class ConnectionClient(Protocol):
    """A pool of connections to one endpoint."""

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send one request and return its response."""
        ...

    def close(self) -> None:
        """Close the idle connections."""
        ...


class Urllib3:
    """A pool of urllib3 without its retries and redirects."""

    def __init__(self, url: str) -> None:
        self._url = url
        parts = urlsplit(url)
        name, port = parts.hostname or "", parts.port
        self._pool: urllib3.HTTPConnectionPool = (
            urllib3.HTTPSConnectionPool(name, port, maxsize=_MAX_IDLE, ssl_context=ssl.create_default_context())
            if parts.scheme == "https"
            else urllib3.HTTPConnectionPool(name, port, maxsize=_MAX_IDLE)
        )

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send one request and return its response."""
        timeout = urllib3.Timeout(connect=bounded_s(CONNECT_S), read=bounded_s(READ_S))
        try:
            response = self._pool.urlopen(
                method,
                path,
                body=body,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                assert_same_host=False,
                decode_content=False,
            )
        except urllib3.exceptions.NewConnectionError as error:
            raise EndpointConnectionError(endpoint_url=self._url, error=error) from error
        except urllib3.exceptions.ConnectTimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=self._url, error=error) from error
        except urllib3.exceptions.ReadTimeoutError as error:
            raise ReadTimeoutError(endpoint_url=self._url, error=error) from error
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionClosedError(endpoint_url=self._url, error=error) from error
        return Reply(response.status, {name.lower(): value for name, value in response.headers.items()}, response.data)

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()


class HttpClient:
    """A pool of connections of `http.client`."""

    def __init__(self, url: str) -> None:
        self._url = url
        parts = urlsplit(url)
        name, port = parts.hostname or "", parts.port
        context = ssl.create_default_context() if parts.scheme == "https" else None
        self._new: Callable[[], http.client.HTTPConnection] = (
            (lambda: http.client.HTTPSConnection(name, port, timeout=bounded_s(CONNECT_S), context=context))
            if context
            else (lambda: http.client.HTTPConnection(name, port, timeout=bounded_s(CONNECT_S)))
        )
        self._idle: deque[http.client.HTTPConnection] = deque()

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send one request and return its response."""
        connection = self._open()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            content = response.read()
        except TimeoutError as error:
            connection.close()
            raise ReadTimeoutError(endpoint_url=self._url, error=error) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ConnectionClosedError(endpoint_url=self._url, error=error) from error
        if response.will_close or len(self._idle) >= _MAX_IDLE:
            connection.close()
        else:
            self._idle.append(connection)
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, content)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _open(self) -> http.client.HTTPConnection:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # Another thread took the last one.
                break
            if connection.sock and not wait_for_read(connection.sock, timeout=0.0):
                connection.sock.settimeout(bounded_s(READ_S))
                return connection
            connection.close()
        return self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        connection = self._new()
        try:
            connection.connect()
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=self._url, error=error) from error
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=self._url, error=error) from error
        tcp_socket: socket.socket = connection.sock
        tcp_socket.settimeout(bounded_s(READ_S))
        return connection


CLIENTS: Mapping[str, Callable[[str], ConnectionClient]] = {
    "ours": lambda url: Connections(url, connect_timeout_s=CONNECT_S, read_timeout_s=READ_S),
    "http.client": HttpClient,
    "urllib3": Urllib3,
}
