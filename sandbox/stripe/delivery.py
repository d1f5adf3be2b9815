"""Deliver signed events to webhook endpoints, with retries and with the configured faults."""

import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field

from sandbox.stripe.rendering import render
from sandbox.stripe.reports import thin
from sandbox.stripe.store import Json
from sandbox.stripe.world import StripeWorld

_RETRY_DELAYS_MS = (1_000, 2_000, 5_000, 15_000, 60_000, 300_000, 1_800_000, 7_200_000)
"""The delays before each retry. No retry follows the last one."""

_TIMEOUT_S = 20
_POLL_INTERVAL_S = 1
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class WebhookSender:
    """Deliver in the background, in the order of due times."""

    world: StripeWorld
    _stopped: threading.Event = field(default_factory=threading.Event)
    _woken: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Check for due deliveries at once."""
        self._woken.set()

    def stop(self) -> None:
        """Stop after the delivery in progress. All others stay stored."""
        self._stopped.set()
        self._woken.set()
        if self._thread:
            self._thread.join(timeout=_TIMEOUT_S)

    def deliver_due(self) -> int:
        """Deliver all events that are due and return their number."""
        store = self.world.store
        rows = store.run(
            "SELECT seq, event, endpoint, attempt FROM deliveries WHERE due_ms <= ? ORDER BY due_ms, seq LIMIT 20",
            now_ms(),
        )
        for seq, event_id, endpoint_id, attempt in rows:
            event, endpoint = store.find(event_id), store.find(endpoint_id)
            status = send(event, endpoint) if event and endpoint else 410
            with store.transaction():
                self._record_attempt(
                    int(seq), event_id, attempt=int(attempt), is_accepted=200 <= status < 300 or status == 410
                )
        return len(rows)

    def _record_attempt(self, seq: int, event_id: str, *, attempt: int, is_accepted: bool) -> None:
        store = self.world.store
        if not is_accepted and attempt < len(_RETRY_DELAYS_MS):
            due = now_ms() + _RETRY_DELAYS_MS[attempt]
            store.run("UPDATE deliveries SET attempt = ?, due_ms = ? WHERE seq = ?", attempt + 1, due, seq)
            return
        store.run("DELETE FROM deliveries WHERE seq = ?", seq)
        event = store.find(event_id)
        if is_accepted and event and event["object"] == "event":
            store.put(event | {"pending_webhooks": max(0, event["pending_webhooks"] - 1)})

    def _run(self) -> None:
        while not self._stopped.is_set():
            if not self.deliver_due():
                self._woken.wait(_POLL_INTERVAL_S)
                self._woken.clear()


def send(event: Json, endpoint: Json) -> int:
    """Deliver one event to one endpoint now and return its status; 0 if there was no response."""
    body = json.dumps(thin(render(event)), indent=2).encode()
    stamp = time.time_ns() // 1_000_000_000
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": f"t={stamp},v1={signature(body, stamp=stamp, secret=endpoint['_secret'])}",
        "User-Agent": "Stripe/1.0 (local)",
    }
    request = urllib.request.Request(endpoint["url"], data=body, headers=headers, method="POST")  # noqa: S310 — as registered
    try:
        with _DIRECT.open(request, timeout=_TIMEOUT_S) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def signature(body: bytes, *, stamp: int, secret: str) -> str:
    """Compute Stripe's `v1` signature: HMAC-SHA256 over the timestamp and the raw body."""
    return hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()


def now_ms() -> int:
    """Return the machine's time in ms."""
    return time.time_ns() // 1_000_000
