"""The way out to providers over HTTP: checked addresses, no redirects, no proxies, and an end in time and size."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from queue import Empty, SimpleQueue
from ssl import SSLContext
from typing import Any

import httpcore2
import httpx2

from services.runs.errors import ProviderFailed
from services.runs.gateways.addresses import Addresses
from services.runs.gateways.bounds import WireLimits, bounded

_CONNECT_S = 5.0
_WRITTEN_AT_ONCE = 16 * 1024
"""Bytes; the timeout of a write begins anew with each part that the server takes."""
_MOST_CONNECTIONS = 100
_KEPT_CONNECTIONS, _KEPT_FOR_S = 20, 60.0

_SocketOptions = Iterable[tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]]


class Deadline(float):
    """A timeout in seconds that also knows the moment at which it is over, so that it holds for many reads.

    It carries the call's output cap too: a request's timeouts are all that the SDKs pass on to the transport as it is.
    """

    __slots__ = ("at", "max_output_tokens")
    at: float
    max_output_tokens: int | None

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """A deadline so many seconds from now."""
        deadline = cls(seconds)
        deadline.at = time.monotonic() + seconds
        deadline.max_output_tokens = None
        return deadline


def timeouts(seconds: float, *, max_output_tokens: int | None = None) -> httpx2.Timeout:
    """Return the timeouts of a call that may take so long in all, however its answer is cut into pieces.

    Args:
        seconds: of the whole call.
        max_output_tokens: the output cap, which bounds the bytes of the answer; None: the largest answer.
    """
    whole = Deadline.after(seconds)
    whole.max_output_tokens = max_output_tokens
    brief = min(_CONNECT_S, seconds)
    return httpx2.Timeout(connect=brief, pool=brief, read=whole, write=whole)


def http_client(transport: httpx2.BaseTransport) -> httpx2.Client:
    """A client with cookies of its own over connections that are shared."""
    return httpx2.Client(
        transport=transport, headers={"Accept-Encoding": "identity"}, follow_redirects=False, trust_env=False
    )


class Transport(httpx2.HTTPTransport):
    """Connections that are made to checked addresses only."""

    def __init__(self, addresses: Addresses) -> None:
        context = httpx2.create_ssl_context()
        super().__init__(verify=context)
        # httpx2 has no argument for the network below the pool.
        self._pool = httpcore2.ConnectionPool(
            ssl_context=context,
            max_connections=_MOST_CONNECTIONS,
            max_keepalive_connections=_KEPT_CONNECTIONS,
            keepalive_expiry=_KEPT_FOR_S,
            network_backend=_Network(addresses),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it, and read no more of the answer than an answer can be."""
        return bounded(super().handle_request(request), _limits_of(request))


def _limits_of(request: httpx2.Request) -> WireLimits:
    timeout = request.extensions.get("timeout", {}).get("read")
    cap = timeout.max_output_tokens if isinstance(timeout, Deadline) else None
    if cap is None:
        return WireLimits()
    return WireLimits.of(cap, request_bytes=int(request.headers.get("content-length", 0)))


class _Network(httpcore2.NetworkBackend):
    """Resolves a host, checks what it gets, and connects to exactly that."""

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
        """A connection to the first address that answers."""
        whole = Deadline.after(_CONNECT_S if timeout is None else timeout)
        failure: httpcore2.NetworkError | httpcore2.TimeoutException | None = None
        for address in self._resolved(host, port, whole):
            try:
                stream = self._inner.connect_tcp(address, port, _left(whole), local_address, socket_options)
            except (httpcore2.NetworkError, httpcore2.TimeoutException) as error:
                failure = error
            else:
                return _Stream(stream)
        raise failure or httpcore2.ConnectError

    def _resolved(self, host: str, port: int, whole: Deadline) -> Sequence[str]:
        """The host's addresses. The system's resolver knows no timeout: one that is too slow is left behind.

        Raises:
            httpcore2.ConnectTimeout: they are not found in time.
            httpcore2.ConnectError: there are none.
            ProviderFailed: they must not be connected to.
        """
        found: SimpleQueue[Sequence[str] | OSError | ProviderFailed] = SimpleQueue()

        def look_up() -> None:
            try:
                found.put(self._addresses.of(host, port))
            except (OSError, ProviderFailed) as error:
                found.put(error)

        threading.Thread(target=look_up, daemon=True).start()
        try:
            answer = found.get(timeout=_left(whole))
        except Empty:
            raise httpcore2.ConnectTimeout from None
        if isinstance(answer, OSError):
            raise httpcore2.ConnectError(str(answer)) from answer
        if isinstance(answer, ProviderFailed):
            raise answer
        return answer


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
    for start in range(0, len(buffer), _WRITTEN_AT_ONCE):
        yield buffer[start : start + _WRITTEN_AT_ONCE]


def _left(timeout: float | None) -> float | None:
    """What is left of a deadline.

    Raises:
        httpcore2.ReadTimeout: nothing.
    """
    if not isinstance(timeout, Deadline):
        return timeout
    left = timeout.at - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout
    return left
