"""The events that publish usage that a tenant reported."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime

from services.metering.ledger.domain.entries import LedgerEntry
from shared.events.envelope import Event, new_event
from shared.events.metering import UsageBatchIngested
from shared.ids import joined
from shared.meters import total


def ingested_events(tenant_id: str, entries: Iterable[LedgerEntry], *, at: datetime) -> list[Event[UsageBatchIngested]]:
    """Return the events that publish entries of one transaction, one event per month.

    An entry is counted in one transaction only, so the ids of the entries determine the id of the event.
    """
    by_period: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        by_period.setdefault(entry.period, []).append(entry)
    return [_ingested_event(tenant_id, period, together, at=at) for period, together in sorted(by_period.items())]


def _ingested_event(
    tenant_id: str, period: str, entries: Sequence[LedgerEntry], *, at: datetime
) -> Event[UsageBatchIngested]:
    names = joined(*sorted(entry.event_id for entry in entries))
    batch_id = f"in-{hashlib.sha256(names.encode()).hexdigest()[:40]}"
    payload = UsageBatchIngested(period=period, meters=total(*(entry.meters for entry in entries)), events=len(entries))
    event_id = f"{tenant_id}:{batch_id}:ingested"
    return new_event(payload, event_id=event_id, tenant_id=tenant_id, subject=batch_id, seq=1, at=at)
