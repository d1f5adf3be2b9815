"""A local provider server that sends the replies of a script piece by piece."""

import json
import socket
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_LONGEST_STALL_S = 5.0


class Happening(Enum):
    """A fault in place of the next piece."""

    STALL = auto()
    """Nothing is sent until the client disconnects."""
    CUT = auto()
    """The connection breaks in the middle of a piece."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A delay before the next piece."""

    seconds: float


Piece = bytes | Pause | Happening | threading.Barrier
"""At a barrier, a response waits for this number of others."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A response to one request."""

    pieces: Sequence[Piece]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    before: Pause | Happening | threading.Barrier | None = None
    """The fault before the status line."""


@dataclass
class Received:
    """A received request."""

    path: str
    headers: Mapping[str, str]
    body: Any
    hung_up: threading.Event = field(default_factory=threading.Event)
    """Set when the client closes the connection before the end of the response."""


class ProviderServer(ThreadingHTTPServer):
    """A server on a free port of 127.0.0.1."""

    daemon_threads = True
    request_queue_size = 64
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[Reply] = []
        self.received: list[Received] = []
        self.connections = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add_replies(self, *replies: Reply) -> None:
        """Add replies to the next requests."""
        self.script += replies

    def get_request(self) -> tuple[socket.socket, Any]:
        """Count connections."""
        self.connections += 1
        return super().get_request()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 — as the base class has it
        """Ignore disconnections, which tests cause."""


@contextmanager
def provider_server() -> Generator[ProviderServer]:
    """Run a server within the block."""
    server = ProviderServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: ProviderServer  # pyright: ignore[reportIncompatibleVariableOverride]  # nothing else makes handlers
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Send the next reply."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        received = Received(self.path, dict(self.headers.items()), json.loads(body))
        self.server.received.append(received)
        reply = self.server.script.pop(0)
        if reply.before and not self._happen(reply.before, received):
            return
        self.send_response(reply.status)
        for name, value in {"Transfer-Encoding": "chunked", **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        for piece in reply.pieces:
            if not isinstance(piece, bytes):
                if not self._happen(piece, received):
                    return
                continue
            self._send(b"%x\r\n%s\r\n" % (len(piece), piece), received)
        self._send(b"0\r\n\r\n", received)

    def _send(self, data: bytes, received: Received) -> None:
        try:
            self.wfile.write(data)
        except OSError:
            received.hung_up.set()
            raise

    def _happen(self, happening: Pause | Happening | threading.Barrier, received: Received) -> bool:
        """Send a piece; return whether more can follow."""
        if isinstance(happening, Pause):
            time.sleep(happening.seconds)
            return True
        if isinstance(happening, threading.Barrier):
            happening.wait(_LONGEST_STALL_S)
            return True
        self.close_connection = True
        if happening is Happening.STALL:
            self._wait_for_the_end(received)
        else:
            self._break_off()
        return False

    def _break_off(self) -> None:
        self.wfile.write(b"40\r\nhalf")
        self.connection.shutdown(socket.SHUT_RDWR)

    def _wait_for_the_end(self, received: Received) -> None:
        self.connection.settimeout(_LONGEST_STALL_S)
        try:
            gone = self.connection.recv(1) == b""
        except ConnectionError:
            gone = True
        except TimeoutError:
            gone = False
        if gone:
            received.hung_up.set()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — as the base class has it
        """Print nothing."""
