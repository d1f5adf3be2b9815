"""Events that are published when an hour, or a correction of it, is final."""

from datetime import datetime
from typing import Any, TypeVar

from services.metering.counters.domain.amounts import Amounts
from services.metering.counters.domain.hours import Revision
from shared.events.envelope import Event, new_event
from shared.events.metering import UsageCorrected, UsageHourClosed, UsageTenantClosed
from shared.events.runs import TenantRunsStopped
from shared.meters import published
from shared.times import to_text

PayloadT = TypeVar("PayloadT", UsageHourClosed, UsageCorrected)


def revision_events(tenant_id: str, revision: Revision, amounts: Amounts, *, at: datetime) -> list[Event[Any]]:
    """Return the event that publishes the usage of a revision; an empty list if there was none."""
    if not amounts.events:
        return []
    if revision.number:
        return [correction_event(tenant_id, revision, amounts, at=at)]
    payload = UsageHourClosed(hour=revision.hour, meters=published(amounts.meters), events=amounts.events)
    return [_event(tenant_id, revision, payload, suffix="closed", at=at)]


def correction_event(tenant_id: str, revision: Revision, amounts: Amounts, *, at: datetime) -> Event[UsageCorrected]:
    """Return the event that publishes a difference to amounts published earlier."""
    payload = UsageCorrected(
        hour=revision.hour, rev=revision.number, meters=published(amounts.meters), events=amounts.events
    )
    return _event(tenant_id, revision, payload, suffix=f"corrected:{revision.number}", at=at)


def _event(tenant_id: str, revision: Revision, payload: PayloadT, *, suffix: str, at: datetime) -> Event[PayloadT]:
    event_id, hour = f"{tenant_id}:{revision.hour:%Y-%m-%dT%H}:{suffix}", to_text(revision.hour)
    return new_event(payload, event_id=event_id, tenant_id=tenant_id, subject=hour, seq=revision.number + 1, at=at)


def tenant_closed_event(event: Event[TenantRunsStopped]) -> Event[UsageTenantClosed]:
    """Return the event that confirms that a tenant has no open hours left."""
    return new_event(
        UsageTenantClosed(),
        event_id=f"{event.tenant_id}:tenant_closed",
        tenant_id=event.tenant_id,
        subject=event.tenant_id,
        seq=event.seq,
        at=event.occurred_at,
    )
