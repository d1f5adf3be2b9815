"""The account: its state, its clock, its settings, and what it announces."""

import secrets
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from infra.local.stripe.rendering import render
from infra.local.stripe.store import Json, Store

API_VERSION = "2026-08-26.dahlia"
DAY_S = 86_400
_REORDER_MS = 1_000
"""Within which time the order of deliveries is lost."""

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
"""Settings until they are set; README.md says what each does."""

_USED_UP = frozenset({"decline_payments", "faults"})
"""Settings that requests use up, also those that come to nothing; so they are no part of the stored state."""


@dataclass
class World:
    """One Stripe account in test mode."""

    store: Store
    base_url: str
    """Where a person's browser finds the pages."""
    api_key: str
    webhook_secret: str
    """Signs what goes to the endpoint that the mesh has."""
    moment: int | None = None
    """The time while the past is worked off; None: the clock's."""
    idempotency_key: str | None = None
    """Of the request that is being answered."""
    _left: dict[str, Any] = field(default_factory=dict[str, Any])

    def real_now(self) -> int:
        """The machine's time."""
        return time.time_ns() // 1_000_000_000

    def now(self, customer: Json | None = None) -> int:
        """The account's time, or that of a customer's test clock."""
        if self.moment is not None:
            return self.moment
        clock = self.store.find(customer["test_clock"]) if customer and customer.get("test_clock") else None
        return int(clock["frozen_time"]) if clock else self.real_now() + int(self.setting("offset_s"))

    def now_for(self, customer_id: str | None) -> int:
        """The time of a customer by its id."""
        return self.now(self.store.find(customer_id) if customer_id else None)

    @contextmanager
    def at(self, moment: int) -> Generator[None]:
        """Do something as if it were a given time."""
        before, self.moment = self.moment, moment
        try:
            yield
        finally:
            self.moment = before

    def setting(self, name: str) -> Any:  # noqa: ANN401 — JSON of the setting's own shape
        """A setting, or its default."""
        found = self._left.get(name) if name in _USED_UP else self.store.setting(name)
        return DEFAULTS[name] if found is None else found

    def set(self, name: str, value: object) -> None:
        """Change a setting."""
        if name in _USED_UP:
            self._left[name] = value
        else:
            self.store.set(name, value)

    def new_id(self, prefix: str) -> str:
        """An id as Stripe makes them."""
        return f"{prefix}_{secrets.token_hex(12)}"

    def emit(self, kind: str, thing: Json, *, previous: Json | None = None) -> Json:
        """Announce what happened to an object, and queue it for every endpoint that listens."""
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
        """The endpoints that want events of a type."""
        return [one for one in self.store.all("webhook_endpoint") if _listens(one, kind)]

    def deliver(self, event_id: str, endpoints: Iterable[Json]) -> None:
        """Queue an event as the chaos that is set lets it through."""
        chaos: dict[str, int] = self.setting("chaos")
        for endpoint in endpoints:
            if chaos.get("hold") or _happens(chaos.get("drop", 0)):
                continue
            for _ in range(2 if _happens(chaos.get("duplicate", 0)) else 1):
                self._queue(
                    event_id, endpoint["id"], delay_ms=chaos.get("delay_ms", 0), any_order=chaos.get("reorder", 0)
                )

    def _queue(self, event_id: str, endpoint_id: str, *, delay_ms: int, any_order: int) -> None:
        late_ms = delay_ms + (secrets.randbelow(_REORDER_MS) if any_order else 0)
        due_ms = time.time_ns() // 1_000_000 + late_ms if late_ms else 0
        self.store.run(
            "INSERT INTO deliveries (event, endpoint, attempt, due_ms) VALUES (?, ?, 0, ?)",
            *(event_id, endpoint_id, due_ms),
        )

    def update(self, thing: Json, kind: str, *, before: Json) -> Json:
        """Write an object and announce what of it has changed; nothing when nothing has."""
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
