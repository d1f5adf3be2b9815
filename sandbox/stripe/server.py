"""The HTTP server: the API, the pages and the controls, on this machine alone."""

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

from infra.local.stripe import pages
from infra.local.stripe.api import Answer, Request, answer
from infra.local.stripe.controls import control
from infra.local.stripe.delivery import Courier
from infra.local.stripe.faults import ConnectionLost
from infra.local.stripe.keys import Keys
from infra.local.stripe.store import Store
from infra.local.stripe.timeline import pass_time
from infra.local.stripe.world import World

HOST = "127.0.0.1"
_TICK_S = 1
_LARGEST = 1_000_000

Watcher = Callable[[Request, Answer], None]
"""Sees every request of the API with its answer."""


@dataclass
class LocalStripe:
    """One running Stripe."""

    keys: Keys
    port: int = 0
    """0: any that is free."""
    path: Path | None = None
    """Of the state; None: in memory."""
    watcher: Watcher | None = None
    mark: str = ""
    """What its health answer carries, so that it can be told from another."""
    stop_patience_s: float = 0.5
    """How long a stop may take to be noticed."""
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.http = _Server((HOST, self.port), _Handler)
        self.port = int(self.http.server_address[1])
        self.url = f"http://localhost:{self.port}"
        self.world = World(Store(self.path), self.url, self.keys.api_key, self.keys.webhook_secret)
        self.http.owner = self
        self.courier = Courier(self.world)

    def start(self) -> "LocalStripe":
        """Answer from now on, in threads of its own."""
        self.courier.start()
        for work in (partial(self.http.serve_forever, self.stop_patience_s), self._tick):
            threading.Thread(target=work, daemon=True).start()
        return self

    def stop(self) -> None:
        """Answer no more; what was done is kept."""
        self._stopped.set()
        self.courier.stop()
        self.http.shutdown()
        self.http.server_close()
        self.world.store.close()

    def pause(self, delay_ms: int) -> None:
        """Hold a response back, at most until the server stops."""
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
    disable_nagle_algorithm = True  # head and body are two writes, and the second must not wait for an answer
    server_version = "LocalStripe"

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    @property
    def _owner(self) -> LocalStripe:
        return cast("_Server", self.server).owner

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 — http.server's own signature
        """Say nothing: a form may hold what is nobody's business."""

    def _answer(self, method: str) -> None:
        address = urlsplit(self.path)
        length = min(int(self.headers.get("Content-Length") or 0), _LARGEST)
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
        request = Request(method, path, query or (body if method == "GET" else ""), headers, body or query)
        try:
            made = answer(owner.world, request)
        except ConnectionLost:
            self.close_connection = True
            return
        if owner.watcher:
            owner.watcher(request, made)
        self._owner.pause(made.delay_ms)
        if made.lost:
            self.close_connection = True
            return
        # After a late response the client may be gone.
        with suppress(ConnectionError):
            self._send(made.status, "application/json", json.dumps(made.body, indent=2), made.headers)

    def _control(self, method: str, path: str, body: str) -> None:
        owner = self._owner
        try:
            given = json.loads(body or "{}")
        except ValueError:
            given = None
        if not isinstance(given, dict):
            self._send(400, "application/json", '{"error": {"message": "A control takes a JSON object."}}')
            return
        status, made = control(owner.world, method, path, given)  # pyright: ignore[reportUnknownArgumentType] — JSON
        if path == "/_local/health":
            made |= {"mark": owner.mark}
        self._send(status, "application/json", json.dumps(made))

    def _page(self, method: str, path: str, body: str) -> None:
        parts = path.split("/")
        if len(parts) != 4 or parts[2] not in {"checkout", "portal", "invoices"}:
            self._send(404, "text/plain", "There is no such page.")
            return
        sent = dict(parse_qsl(body, keep_blank_values=True)) if method == "POST" else None
        shown = pages.show(self._owner.world, parts[2], parts[3], sent=sent)
        if shown.location:
            self._send(303, "text/plain", "", {"Location": shown.location})
        else:
            self._send(shown.status, "text/html; charset=utf-8", shown.html)

    def _send(self, status: int, kind: str, body: str, headers: dict[str, str] | None = None) -> None:
        raw = body.encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(raw)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)
