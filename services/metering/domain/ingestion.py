"""Usage that a tenant reports itself."""

from services.metering.domain.usage import Entry
from shared.events.envelope import Event, happened
from shared.events.metering import UsageIngested


def announcement(tenant_id: str, entry: Entry) -> Event[UsageIngested]:
    """The event that tells the other services of an entry."""
    origin, of = entry.origin, entry.dimensions
    said = UsageIngested(
        event_id=origin.reported_id or entry.event_id,
        source=origin.source or "",
        meters=dict(entry.meters),
        provider=of.provider,
        model=of.model,
        agent_id=of.agent_id,
        project_id=of.project_id,
        period=entry.period,
    )
    return happened(
        said,
        event_id=f"{tenant_id}:{entry.event_id}:ingested",
        tenant_id=tenant_id,
        subject=entry.event_id,
        seq=1,
        at=entry.occurred_at,
    )
