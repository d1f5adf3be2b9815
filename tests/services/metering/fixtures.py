"""Usage events, as the runs service says them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

from services.metering.domain import usage
from services.metering.domain.periods import Days, GroupBy, Period, Row
from services.metering.domain.usage import Amounts, Entry
from services.metering.operations import counting, reading
from services.metering.operations.upkeep import Kind, sweep_due
from services.metering.table.rows import SeenRows
from shared.events.envelope import Event, happened
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
    """What the first call of a run used."""
    said = UsageRecorded(
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
    return happened(said, event_id=f"{run}:1:1", tenant_id=tenant_id, subject=run, seq=1, at=at)


def entry(event: Usage) -> Entry:
    """What the ledger has of it."""
    return usage.entry_of_call(event)


def count(
    store: Store, *events: Usage, now: datetime | None = None, seen: SeenRows | None = None
) -> dict[str, Exception]:
    """Let these be counted, by default at the time of the last of them, by a container that knows these rows."""
    at = now or max(event.occurred_at for event in events)
    return counting.count(store, [(event.tenant_id, entry(event)) for event in events], now=at, seen=seen)


def close_due(store: Store, *, now: datetime) -> int:
    """Close the hours that are due; return how many."""
    return _sweep(store, Kind.HOUR, now=now)


def sample_due(store: Store, *, now: datetime) -> int:
    """Sample the storage that is due; return of how many tenants."""
    return _sweep(store, Kind.STORAGE, now=now)


def repeat_due(store: Store, *, now: datetime) -> int:
    """Look at the summaries whose pause is over; return how many."""
    return _sweep(store, Kind.SUMMARY, now=now)


def _sweep(store: Store, kind: Kind, *, now: datetime) -> int:
    return sweep_due(store, now=now, kinds=(kind,))[0][kind]


def deliver(store: Store, batches: Iterable[Sequence[Usage]], *, now: datetime) -> None:
    """Hand over batches as a queue does: what failed comes again."""
    waiting = [list(batch) for batch in batches]
    while waiting:
        batch = waiting.pop(0)
        failed = count(store, *batch, now=now) if batch else {}
        if again := [event for event in batch if event.id in failed]:
            waiting.append(again)


ALL_DAYS = Days(date(2026, 10, 1), date(2027, 1, 1))


def rows(
    store: Store, *, tenant_id: str = "demo-org", period: Period = Period.DAY, group_by: GroupBy | None = None
) -> list[Row]:
    """What usage of all days says."""
    return reading.usage_of(store, tenant_id, ALL_DAYS, period=period, group_by=group_by)


def counted(
    store: Store, tenant_id: str = "demo-org", *, period: Period = Period.DAY, group_by: GroupBy | None = None
) -> Amounts:
    """The sum of it."""
    return sum_of(row.amounts for row in rows(store, tenant_id=tenant_id, period=period, group_by=group_by))


def sum_of(several: Iterable[Amounts]) -> Amounts:
    """All of these together."""
    result = Amounts()
    for amounts in several:
        result = result.plus(amounts)
    return result


def expected(facts: Iterable[Usage], tenant_id: str = "demo-org") -> Amounts:
    """The sum of the different events of a tenant."""
    unique = {event.id: event for event in facts if event.tenant_id == tenant_id}
    return sum_of(entry(event).amounts for event in unique.values())
