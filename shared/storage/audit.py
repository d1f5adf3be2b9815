"""Who is changing something in this context: every transaction that is committed in it carries a record of that."""

import ipaddress
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from shared.events.envelope import Event, EventData, happened
from shared.events.tenants import ChangeRecorded, SaidFact

_KEPT_BITS = {4: 16, 6: 32}
"""How much of an internet number is recorded: enough to see a foreign network, too little to see a person."""


@dataclass(frozen=True, slots=True)
class Change:
    """A request that changes something."""

    request_id: str
    principal: str
    role: str
    action: str
    target: str
    network: str
    at: datetime
    numbers: "count[int]" = field(default_factory=lambda: count(1), compare=False)
    """One request may need several transactions; each is recorded by itself."""

    def record(self, tenant_id: str, events: list[Event[EventData]]) -> Event[ChangeRecorded]:
        """What is to be said of a transaction that says these events."""
        number = next(self.numbers)
        said = ChangeRecorded(
            principal=self.principal,
            role=self.role,
            action=self.action,
            target=self.target,
            network=self.network,
            facts=tuple(SaidFact(type=event.type, subject=event.subject, seq=event.seq) for event in events),
        )
        event_id = f"{self.request_id}:{number}:recorded"
        return happened(said, event_id=event_id, tenant_id=tenant_id, subject=self.request_id, seq=number, at=self.at)


_change: ContextVar[Change | None] = ContextVar("change", default=None)


@contextmanager
def recorded(change: Change | None) -> Generator[None]:
    """Every transaction in this block is recorded as a part of this change; None records nothing."""
    token = _change.set(change)
    try:
        yield
    finally:
        _change.reset(token)


def current_change() -> Change | None:
    """What is being done in this context, if it is to be recorded."""
    return _change.get()


def network_of(address: str) -> str:
    """The network of a caller, `203.0.0.0/16`; empty for what is no internet number."""
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return ""
    return str(ipaddress.ip_network(f"{address}/{_KEPT_BITS[version]}", strict=False))
