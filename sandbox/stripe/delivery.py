"""Brings events to webhook endpoints: signed, again until they are taken, and as disorderly as it is told to be."""

import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field

from infra.local.stripe.rendering import render
from infra.local.stripe.reports import thin
from infra.local.stripe.store import Json
from infra.local.stripe.world import World

_AGAIN_MS = (1_000, 2_000, 5_000, 15_000, 60_000, 300_000, 1_800_000, 7_200_000)
"""How long after a failure it is tried again; after the last one no more."""

_PATIENCE_S = 20
_LOOK_S = 1
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Courier:
    """Delivers in the background, in the order in which things are due."""

    world: World
    _stopped: threading.Event = field(default_factory=threading.Event)
    _woken: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look at once whether there is something to deliver."""
        self._woken.set()

    def stop(self) -> None:
        """End after the delivery that is under way; the others wait in the store."""
        self._stopped.set()
        self._woken.set()
        if self._thread:
            self._thread.join(timeout=_PATIENCE_S)

    def deliver_due(self) -> int:
        """Deliver what is due now, and say how much it was."""
        store = self.world.store
        rows = store.run(
            "SELECT seq, event, endpoint, attempt FROM deliveries WHERE due_ms <= ? ORDER BY due_ms, seq LIMIT 20",
            now_ms(),
        )
        for seq, event_id, endpoint_id, attempt in rows:
            event, endpoint = store.find(event_id), store.find(endpoint_id)
            status = send(event, endpoint) if event and endpoint else 410
            with store.transaction():
                self._note(int(seq), event_id, attempt=int(attempt), taken=200 <= status < 300 or status == 410)
        return len(rows)

    def _note(self, seq: int, event_id: str, *, attempt: int, taken: bool) -> None:
        store = self.world.store
        if not taken and attempt < len(_AGAIN_MS):
            due = now_ms() + _AGAIN_MS[attempt]
            store.run("UPDATE deliveries SET attempt = ?, due_ms = ? WHERE seq = ?", attempt + 1, due, seq)
            return
        store.run("DELETE FROM deliveries WHERE seq = ?", seq)
        event = store.find(event_id)
        if taken and event and event["object"] == "event":
            store.put(event | {"pending_webhooks": max(0, event["pending_webhooks"] - 1)})

    def _run(self) -> None:
        while not self._stopped.is_set():
            if not self.deliver_due():
                self._woken.wait(_LOOK_S)
                self._woken.clear()


def send(event: Json, endpoint: Json) -> int:
    """Bring one event to one endpoint now; gives back the status, 0 when there was no answer."""
    body = json.dumps(thin(render(event)), indent=2).encode()
    stamp = time.time_ns() // 1_000_000_000
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": f"t={stamp},v1={signature(body, stamp=stamp, secret=endpoint['_secret'])}",
        "User-Agent": "Stripe/1.0 (local)",
    }
    request = urllib.request.Request(endpoint["url"], data=body, headers=headers, method="POST")  # noqa: S310 — as registered
    try:
        with _DIRECT.open(request, timeout=_PATIENCE_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def signature(body: bytes, *, stamp: int, secret: str) -> str:
    """Stripe's `v1`: HMAC-SHA256 over the stamp and the raw body."""
    return hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()


def now_ms() -> int:
    """The machine's time."""
    return time.time_ns() // 1_000_000
