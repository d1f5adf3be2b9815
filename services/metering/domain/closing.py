"""What is said when an hour, or a correction of it, is final."""

from datetime import datetime
from typing import Any

from services.metering.domain.hours import Revision
from services.metering.domain.usage import Amounts
from shared.events.envelope import Event, happened
from shared.events.metering import UsageCorrected, UsageHourClosed, UsageTenantClosed
from shared.events.runs import TenantRunsStopped
from shared.times import to_text


def announcement(tenant_id: str, revision: Revision, amounts: Amounts, *, at: datetime) -> list[Event[Any]]:
    """The event that tells of what was used in this revision; none when that is nothing."""
    if not amounts.events:
        return []
    hour, meters = revision.hour, dict(amounts.meters)
    if revision.number:
        said = UsageCorrected(hour=hour, rev=revision.number, meters=meters, events=amounts.events)
        what = f"corrected:{revision.number}"
    else:
        said = UsageHourClosed(hour=hour, meters=meters, events=amounts.events)
        what = "closed"
    event_id = f"{tenant_id}:{hour:%Y-%m-%dT%H}:{what}"
    return [
        happened(said, event_id=event_id, tenant_id=tenant_id, subject=to_text(hour), seq=revision.number + 1, at=at)
    ]


def announcement_of_tenant(event: Event[TenantRunsStopped]) -> Event[UsageTenantClosed]:
    """What is to be said when a tenant has no hour left that is open."""
    return happened(
        UsageTenantClosed(),
        event_id=f"{event.tenant_id}:tenant_closed",
        tenant_id=event.tenant_id,
        subject=event.tenant_id,
        seq=event.seq,
        at=event.occurred_at,
    )
