"""Usage events, and shortcuts for counting and reading them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

from services.metering.counters.domain.amounts import Amounts
from services.metering.counters.domain.days import Days, UsagePeriod
from services.metering.counters.table.rows import SeenRows
from services.metering.hours.operations.maintenance import DueKind, sweep_due
from services.metering.ingestion import operations as ingestion
from services.metering.ledger.domain import entries as usage
from services.metering.ledger.domain.entries import LedgerEntry
from services.metering.usage import operations as reading
from services.metering.usage.domain import GroupBy, UsageRow
from shared.events.envelope import Event, new_event
from shared.events.runs import UsageRecorded
from shared.meters import Meter
from shared.storage.store import Store

Usage = Event[UsageRecorded]

AT = datetime(2026, 11, 22, 23, 19, 5, 42_000, tzinfo=UTC)
METERS = {Meter.REQUESTS: 1, Meter.TOKENS_IN: 12, Meter.TOKENS_OUT: 30}


def used(
    run: str = "run_1",
    *,
    tenant_id: str = "demo-org",
    at: datetime = AT,
    meters: dict[Meter, int] | None = None,
    cost_nano_usd: int | None = 700,
    agent_id: str = "agt_1",
    model: str = "gpt-4",
    provider: str = "simulated",
    project_id: str | None = None,
) -> Event[UsageRecorded]:
    """Return the usage event of the first call of a run."""
    payload = UsageRecorded(
        run_id=run,
        attempt=1,
        call=1,
        request_id=f"request-of-{run}",
        agent_id=agent_id,
        version=1,
        project_id=project_id,
        provider=provider,
        model=model,
        meters=METERS if meters is None else meters,
        cost_nano_usd=cost_nano_usd,
        price_version="2026-11-01",
        simulated=True,
        period=f"{at:%Y-%m}",
    )
    return new_event(payload, event_id=f"{run}:1:1", tenant_id=tenant_id, subject=run, seq=1, at=at)


def entry(event: Usage) -> LedgerEntry:
    """Return the ledger entry of an event."""
    return usage.entry_from_call(event)


def count(
    store: Store, *events: Usage, now: datetime | None = None, seen: SeenRows | None = None
) -> dict[str, Exception]:
    """Count these events, by default at the time of the last one."""
    at = now or max(event.occurred_at for event in events)
    return ingestion.count(store, [(event.tenant_id, entry(event)) for event in events], now=at, seen=seen)


def close_due(store: Store, *, now: datetime) -> int:
    """Close the hours that are due and return their number."""
    return _sweep(store, DueKind.HOUR, now=now)


def sample_due(store: Store, *, now: datetime) -> int:
    """Sample the storage that is due and return the number of tenants."""
    return _sweep(store, DueKind.STORAGE, now=now)


def repeat_due(store: Store, *, now: datetime) -> int:
    """Check the summaries whose interval has ended and return their number."""
    return _sweep(store, DueKind.SUMMARY, now=now)


def _sweep(store: Store, kind: DueKind, *, now: datetime) -> int:
    return sweep_due(store, now=now, kinds=(kind,))[0][kind]


def deliver(store: Store, batches: Iterable[Sequence[Usage]], *, now: datetime) -> None:
    """Deliver batches like a queue: failed events are delivered again."""
    pending = [list(batch) for batch in batches]
    while pending:
        batch = pending.pop(0)
        failed = count(store, *batch, now=now) if batch else {}
        if again := [event for event in batch if event.id in failed]:
            pending.append(again)


ALL_DAYS = Days(date(2026, 10, 1), date(2027, 1, 1))


def rows(
    store: Store, *, tenant_id: str = "demo-org", period: UsagePeriod = UsagePeriod.DAY, group_by: GroupBy | None = None
) -> list[UsageRow]:
    """Read the usage of all days."""
    return reading.read_usage(store, tenant_id, ALL_DAYS, period=period, group_by=group_by)


def counted(
    store: Store, tenant_id: str = "demo-org", *, period: UsagePeriod = UsagePeriod.DAY, group_by: GroupBy | None = None
) -> Amounts:
    """Return the sum of all usage."""
    return sum_of(row.amounts for row in rows(store, tenant_id=tenant_id, period=period, group_by=group_by))


def sum_of(several: Iterable[Amounts]) -> Amounts:
    """Return the sum of these amounts."""
    result = Amounts()
    for amounts in several:
        result = result.plus(amounts)
    return result


def expected(events: Iterable[Usage], tenant_id: str = "demo-org") -> Amounts:
    """Return the sum of the distinct events of a tenant."""
    unique = {event.id: event for event in events if event.tenant_id == tenant_id}
    return sum_of(entry(event).amounts for event in unique.values())
