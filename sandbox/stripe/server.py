"""The HTTP server on 127.0.0.1: the API, the pages and the controls."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from sandbox.stripe import pages
from sandbox.stripe.api import StripeRequest, StripeResponse, handle_request
from sandbox.stripe.controls import control
from sandbox.stripe.delivery import WebhookSender
from sandbox.stripe.faults import ConnectionLost
from sandbox.stripe.keys import StripeKeys
from sandbox.stripe.store import StripeStore
from sandbox.stripe.timeline import pass_time
from sandbox.stripe.world import StripeWorld

HOST = "127.0.0.1"
_TICK_S = 1
_MAX_BODY_BYTES = 1_000_000

Watcher = Callable[[StripeRequest, StripeResponse], None]
"""Called with every API request and its response."""


@dataclass
class LocalStripe:
    """A running Stripe."""

    keys: StripeKeys
    port: int = 0
    """0: any free port."""
    path: Path | None = None
    """The file of the state; None: in memory."""
    watcher: Watcher | None = None
    mark: str = ""
    """Returned by the health check, to distinguish this process from others."""
    stop_patience_s: float = 0.5
    """The polling interval of a stop."""
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.http = _Server((HOST, self.port), _Handler)
        self.port = int(self.http.server_address[1])
        self.url = f"http://localhost:{self.port}"
        self.world = StripeWorld(StripeStore(self.path), self.url, self.keys.api_key, self.keys.webhook_secret)
        self.http.owner = self
        self.courier = WebhookSender(self.world)

    def start(self) -> "LocalStripe":
        """Start to serve requests in separate threads."""
        self.courier.start()
        for work in (partial(self.http.serve_forever, self.stop_patience_s), self._tick):
            threading.Thread(target=work, daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop serving. All data stays."""
        self._stopped.set()
        self.courier.stop()
        self.http.shutdown()
        self.http.server_close()
        self.world.store.close()

    def pause(self, delay_ms: int) -> None:
        """Delay a response, at most until the server stops."""
        if delay_ms:
            self._stopped.wait(delay_ms / 1000)

    def _tick(self) -> None:
        while not self._stopped.wait(_TICK_S):
            with self.world.store.transaction():
                if not self._stopped.is_set():
                    pass_time(self.world, clock=None, until=self.world.now())
            self.courier.wake()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: LocalStripe


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes, and the second must not wait for an acknowledgement
    server_version = "LocalStripe"

    def do_GET(self) -> None:
        self._respond("GET")

    def do_POST(self) -> None:
        self._respond("POST")

    def do_DELETE(self) -> None:
        self._respond("DELETE")

    @property
    def _owner(self) -> LocalStripe:
        return cast("_Server", self.server).owner

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 — http.server's own signature
        """Log no request, because a form may contain private data."""

    def _respond(self, method: str) -> None:
        address = urlsplit(self.path)
        length = min(int(self.headers.get("Content-Length") or 0), _MAX_BODY_BYTES)
        body = self.rfile.read(length).decode() if length else ""
        if address.path.startswith("/_local/"):
            self._control(method, address.path, body)
        elif address.path.startswith("/_pages/"):
            self._page(method, address.path, body)
        elif address.path.startswith(("/v1/", "/v2/")):
            self._api(method, address.path, address.query, body)
        else:
            self._send(404, "text/plain", "There is nothing here.")
        self._owner.courier.wake()

    def _api(self, method: str, path: str, query: str, body: str) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        owner = self._owner
        request = StripeRequest(method, path, query or (body if method == "GET" else ""), headers, body or query)
        try:
            response = handle_request(owner.world, request)
        except ConnectionLost:
            self.close_connection = True
            return
        if owner.watcher:
            owner.watcher(request, response)
        self._owner.pause(response.delay_ms)
        if response.lost:
            self.close_connection = True
            return
        # After a late response the client may be gone.
        with suppress(ConnectionError):
            self._send(response.status, "application/json", json.dumps(response.body, indent=2), response.headers)

    def _control(self, method: str, path: str, body: str) -> None:
        owner = self._owner
        try:
            parameters = json.loads(body or "{}")
        except ValueError:
            parameters = None
        if not isinstance(parameters, dict):
            self._send(400, "application/json", '{"error": {"message": "A control takes a JSON object."}}')
            return
        status, response = control(owner.world, method, path, parameters)  # pyright: ignore[reportUnknownArgumentType] — JSON
        if path == "/_local/health":
            response |= {"mark": owner.mark}
        self._send(status, "application/json", json.dumps(response))

    def _page(self, method: str, path: str, body: str) -> None:
        parts = path.split("/")
        if len(parts) != 4 or parts[2] not in {"checkout", "portal", "invoices"}:
            self._send(404, "text/plain", "There is no such page.")
            return
        sent = dict(parse_qsl(body, keep_blank_values=True)) if method == "POST" else None
        rendered = pages.render_page(self._owner.world, parts[2], parts[3], sent=sent)
        if rendered.location:
            self._send(303, "text/plain", "", {"Location": rendered.location})
        else:
            self._send(rendered.status, "text/html; charset=utf-8", rendered.html)

    def _send(self, status: int, kind: str, body: str, headers: dict[str, str] | None = None) -> None:
        raw = body.encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(raw)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)
