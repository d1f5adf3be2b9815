"""What is said when an hour, or a correction of it, is final."""

from datetime import datetime
from typing import Any, TypeVar

from services.metering.domain.hours import Revision
from services.metering.domain.usage import Amounts
from shared.events.envelope import Event, happened
from shared.events.metering import UsageCorrected, UsageHourClosed, UsageTenantClosed
from shared.events.runs import TenantRunsStopped
from shared.times import to_text

Said = TypeVar("Said", UsageHourClosed, UsageCorrected)


def announcement(tenant_id: str, revision: Revision, amounts: Amounts, *, at: datetime) -> list[Event[Any]]:
    """The event that tells of what was used in this revision; none when that is nothing."""
    if not amounts.events:
        return []
    if revision.number:
        return [correction(tenant_id, revision, amounts, at=at)]
    said = UsageHourClosed(hour=revision.hour, meters=dict(amounts.meters), events=amounts.events)
    return [_said(tenant_id, revision, said, what="closed", at=at)]


def correction(tenant_id: str, revision: Revision, amounts: Amounts, *, at: datetime) -> Event[UsageCorrected]:
    """The event that tells of a difference."""
    said = UsageCorrected(hour=revision.hour, rev=revision.number, meters=dict(amounts.meters), events=amounts.events)
    return _said(tenant_id, revision, said, what=f"corrected:{revision.number}", at=at)


def _said(tenant_id: str, revision: Revision, said: Said, *, what: str, at: datetime) -> Event[Said]:
    event_id, hour = f"{tenant_id}:{revision.hour:%Y-%m-%dT%H}:{what}", to_text(revision.hour)
    return happened(said, event_id=event_id, tenant_id=tenant_id, subject=hour, seq=revision.number + 1, at=at)


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
