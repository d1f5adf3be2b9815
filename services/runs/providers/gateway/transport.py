"""The HTTP transport to providers: checked addresses, no redirects, no proxies, and limits of time and size."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from queue import Empty, SimpleQueue
from ssl import SSLContext
from typing import Any

import httpcore2
import httpx2

from services.runs.errors import ProviderFailed
from services.runs.providers.gateway.addresses import Addresses
from services.runs.providers.gateway.bounds import WireLimits, bounded

_CONNECT_S = 5.0
_WRITE_CHUNK_BYTES = 16 * 1024
"""Bytes of one write. The timeout of a write restarts with each part that the server accepts."""
_MAX_CONNECTIONS = 100
_MAX_IDLE_CONNECTIONS, _IDLE_TIMEOUT_S = 20, 60.0

_SocketOptions = Iterable[tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]]


class Deadline(float):
    """A timeout in seconds that also has an absolute end, so that it limits many reads together.

    It carries the call's output cap too: the timeouts are the only request option that the SDKs pass to the transport
    unchanged.
    """

    __slots__ = ("at", "max_output_tokens")
    at: float
    max_output_tokens: int | None

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """Return a deadline this number of seconds from now."""
        deadline = cls(seconds)
        deadline.at = time.monotonic() + seconds
        deadline.max_output_tokens = None
        return deadline


def timeouts(seconds: float, *, max_output_tokens: int | None = None) -> httpx2.Timeout:
    """Return the timeouts of a call with this total duration, regardless of the pieces of its answer.

    Args:
        seconds: the maximum duration of the whole call.
        max_output_tokens: the output cap, which bounds the bytes of the answer; None: the largest answer.
    """
    deadline = Deadline.after(seconds)
    deadline.max_output_tokens = max_output_tokens
    brief = min(_CONNECT_S, seconds)
    return httpx2.Timeout(connect=brief, pool=brief, read=deadline, write=deadline)


def http_client(transport: httpx2.BaseTransport, *, key_header: str | None = None) -> httpx2.Client:
    """Return a client with its own cookies over shared connections.

    Args:
        transport: the shared connections.
        key_header: the header that receives the key; None: `Authorization`.
    """

    def move_key(request: httpx2.Request) -> None:
        if key_header and (authorization := request.headers.pop("Authorization", None)):
            request.headers[key_header] = authorization.removeprefix("Bearer ")

    return httpx2.Client(
        transport=transport,
        headers={"Accept-Encoding": "identity"},
        follow_redirects=False,
        trust_env=False,
        event_hooks={"request": [move_key]},
    )


class Transport(httpx2.HTTPTransport):
    """The transport, which connects only to checked addresses."""

    def __init__(self, addresses: Addresses) -> None:
        context = httpx2.create_ssl_context()
        super().__init__(verify=context)
        # httpx2 has no argument for the network backend of the pool.
        self._pool = httpcore2.ConnectionPool(
            ssl_context=context,
            max_connections=_MAX_CONNECTIONS,
            max_keepalive_connections=_MAX_IDLE_CONNECTIONS,
            keepalive_expiry=_IDLE_TIMEOUT_S,
            network_backend=_Network(addresses),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request and bound its response."""
        return bounded(super().handle_request(request), _limits_of(request))


def _limits_of(request: httpx2.Request) -> WireLimits:
    timeout = request.extensions.get("timeout", {}).get("read")
    cap = timeout.max_output_tokens if isinstance(timeout, Deadline) else None
    if cap is None:
        return WireLimits()
    return WireLimits.of(cap, request_bytes=int(request.headers.get("content-length", 0)))


class _Network(httpcore2.NetworkBackend):
    """The network backend, which resolves a host, checks its addresses and connects to exactly those."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._inner = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: _SocketOptions | None = None,
    ) -> httpcore2.NetworkStream:
        """Return a connection to the first address that accepts it."""
        deadline = Deadline.after(_CONNECT_S if timeout is None else timeout)
        failure: httpcore2.NetworkError | httpcore2.TimeoutException | None = None
        for address in self._resolved(host, port, deadline):
            try:
                stream = self._inner.connect_tcp(address, port, _left(deadline), local_address, socket_options)
            except (httpcore2.NetworkError, httpcore2.TimeoutException) as error:
                failure = error
            else:
                return _Stream(stream)
        raise failure or httpcore2.ConnectError

    def _resolved(self, host: str, port: int, deadline: Deadline) -> Sequence[str]:
        """Return the host's addresses.

        The system's resolver has no timeout, so a slow lookup is abandoned in its thread.

        Raises:
            httpcore2.ConnectTimeout: the lookup takes too long.
            httpcore2.ConnectError: the host has no address.
            ProviderFailed: an address is not allowed.
        """
        results: SimpleQueue[Sequence[str] | OSError | ProviderFailed] = SimpleQueue()

        def look_up() -> None:
            try:
                results.put(self._addresses.of(host, port))
            except (OSError, ProviderFailed) as error:
                results.put(error)

        threading.Thread(target=look_up, daemon=True).start()
        try:
            result = results.get(timeout=_left(deadline))
        except Empty:
            raise httpcore2.ConnectTimeout from None
        if isinstance(result, OSError):
            raise httpcore2.ConnectError(str(result)) from result
        if isinstance(result, ProviderFailed):
            raise result
        return result


class _Stream(httpcore2.NetworkStream):
    """A connection whose reads and writes end at the call's deadline."""

    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for part in _parts(buffer):
            self._inner.write(part, _left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 — whatever the inner one knows
        return self._inner.get_extra_info(info)


def _parts(buffer: bytes) -> Iterator[bytes]:
    for start in range(0, len(buffer), _WRITE_CHUNK_BYTES):
        yield buffer[start : start + _WRITE_CHUNK_BYTES]


def _left(timeout: float | None) -> float | None:
    """Return the rest of a deadline in seconds; other timeouts are returned unchanged.

    Raises:
        httpcore2.ReadTimeout: the deadline is over.
    """
    if not isinstance(timeout, Deadline):
        return timeout
    left = timeout.at - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout
    return left
