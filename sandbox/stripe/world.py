"""The account: its state, its clock, its settings and its events."""

import secrets
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sandbox.stripe.rendering import render
from sandbox.stripe.store import Json, StripeStore

API_VERSION = "2026-08-26.dahlia"
DAY_S = 86_400
_REORDER_MS = 1_000
"""The time within which chaos shuffles deliveries."""

DEFAULTS: dict[str, Any] = {
    "offset_s": 0,
    "meter_lag_s": 0,
    "invoice_grace_s": DAY_S,
    "retry_days": [3, 2, 2],
    "after_retries": "unpaid",
    "decline_payments": 0,
    "faults": [],
    "chaos": {},
}
"""The default settings, which README.md explains."""

_USED_UP = frozenset({"decline_payments", "faults"})
"""Settings that every request consumes, even one that fails. They are not part of a transaction."""


@dataclass
class StripeWorld:
    """One Stripe account in test mode."""

    store: StripeStore
    base_url: str
    """The address of the pages."""
    api_key: str
    webhook_secret: str
    """Signs the events to the mesh's endpoint."""
    moment: int | None = None
    """The time of the action in progress while time passes; None: the clock's."""
    idempotency_key: str | None = None
    """The request that is being handled."""
    _left: dict[str, Any] = field(default_factory=dict[str, Any])

    def real_now(self) -> int:
        """Return the machine's time."""
        return time.time_ns() // 1_000_000_000

    def now(self, customer: Json | None = None) -> int:
        """Return the account's time, or that of a customer's test clock."""
        if self.moment is not None:
            return self.moment
        clock = self.store.find(customer["test_clock"]) if customer and customer.get("test_clock") else None
        return int(clock["frozen_time"]) if clock else self.real_now() + int(self.setting("offset_s"))

    def now_for(self, customer_id: str | None) -> int:
        """Return the time of a customer."""
        return self.now(self.store.find(customer_id) if customer_id else None)

    @contextmanager
    def at(self, moment: int) -> Generator[None]:
        """Run the block as if it were a given time."""
        before, self.moment = self.moment, moment
        try:
            yield
        finally:
            self.moment = before

    def setting(self, name: str) -> Any:  # noqa: ANN401 — JSON of the setting's own shape
        """Return a setting or its default."""
        found = self._left.get(name) if name in _USED_UP else self.store.setting(name)
        return DEFAULTS[name] if found is None else found

    def set(self, name: str, value: object) -> None:
        """Change a setting."""
        if name in _USED_UP:
            self._left[name] = value
        else:
            self.store.set(name, value)

    def new_id(self, prefix: str) -> str:
        """Create an id in Stripe's format."""
        return f"{prefix}_{secrets.token_hex(12)}"

    def emit(self, kind: str, thing: Json, *, previous: Json | None = None) -> Json:
        """Publish an event of an object to every subscribed endpoint."""
        data: Json = {"object": render(thing)}
        if previous is not None:
            data["previous_attributes"] = previous
        endpoints = self.listeners(kind)
        event: Json = {
            "id": self.new_id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.now_for(thing.get("customer")),
            "data": data,
            "livemode": False,
            "pending_webhooks": len(endpoints),
            "request": {"id": None, "idempotency_key": self.idempotency_key},
            "type": kind,
        }
        self.store.put(event)
        self.deliver(event["id"], endpoints)
        return event

    def listeners(self, kind: str) -> list[Json]:
        """Return the endpoints that receive events of a type."""
        return [one for one in self.store.all("webhook_endpoint") if _listens(one, kind)]

    def deliver(self, event_id: str, endpoints: Iterable[Json]) -> None:
        """Queue an event with the configured chaos."""
        chaos: dict[str, int] = self.setting("chaos")
        for endpoint in endpoints:
            if chaos.get("hold") or _happens(chaos.get("drop", 0)):
                continue
            for _ in range(2 if _happens(chaos.get("duplicate", 0)) else 1):
                self._enqueue(
                    event_id, endpoint["id"], delay_ms=chaos.get("delay_ms", 0), any_order=chaos.get("reorder", 0)
                )

    def _enqueue(self, event_id: str, endpoint_id: str, *, delay_ms: int, any_order: int) -> None:
        late_ms = delay_ms + (secrets.randbelow(_REORDER_MS) if any_order else 0)
        due_ms = time.time_ns() // 1_000_000 + late_ms if late_ms else 0
        self.store.run(
            "INSERT INTO deliveries (event, endpoint, attempt, due_ms) VALUES (?, ?, 0, ?)",
            *(event_id, endpoint_id, due_ms),
        )

    def update(self, thing: Json, kind: str, *, before: Json) -> Json:
        """Save an object and publish an event of its changes, if there are any."""
        self.store.put(thing)
        was, now = render(before), render(thing)
        changed = {name: was.get(name) for name in now if now[name] != was.get(name)}
        if changed:
            self.emit(kind, thing, previous=changed)
        return thing


def _happens(percent: int) -> bool:
    return secrets.randbelow(100) < percent


def _listens(endpoint: Json, kind: str) -> bool:
    return endpoint["status"] == "enabled" and bool({"*", kind} & set(endpoint["enabled_events"]))
