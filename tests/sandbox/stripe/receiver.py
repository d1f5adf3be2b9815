"""A receiver of webhooks in a test, which refuses deliveries on request."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

PATIENCE_S = 15


@dataclass
class Receiver:
    """A webhook endpoint."""

    refuse: int = 0
    """The number of deliveries that it still answers with 500."""
    received: list[tuple[bytes, str]] = field(default_factory=list[tuple[bytes, str]])
    """The body and the signature of each accepted delivery."""
    _arrived: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.http = _Http(("127.0.0.1", 0), _Handler)
        self.http.receiver = self
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.http.server_address[1]}/v1/webhooks/stripe"

    def receive(self, body: bytes, signature: str) -> int:
        """Accept or refuse a delivery and return the status."""
        with self._arrived:
            if self.refuse:
                self.refuse -= 1
                return 500
            self.received.append((body, signature))
            self._arrived.notify_all()
            return 200

    def wait_for(self, count: int) -> list[tuple[bytes, str]]:
        """Wait for this number of requests and return them."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.received) >= count, PATIENCE_S), f"took {len(self.received)}"
            return list(self.received)

    def stop(self) -> None:
        """Stop listening."""
        self.http.shutdown()
        self.http.server_close()


@contextmanager
def receiving() -> Generator[Receiver]:
    """Run a receiver for the duration of the block."""
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.stop()


class _Http(ThreadingHTTPServer):
    receiver: Receiver


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = cast("_Http", self.server).receiver.receive(body, self.headers["Stripe-Signature"])
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 — http.server's own signature
        """Log nothing."""
