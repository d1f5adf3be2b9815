"""Usage: entries of the ledger, the counters that they raise, and the rows that the counters add up to.

An hour, a day and a month are always those of UTC.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from services.metering.errors import BadRange
from shared.events.envelope import Event, happened
from shared.events.metering import UsageTenantClosed
from shared.events.runs import TenantRunsStopped, UsageRecorded
from shared.meters import Meter, Meters, total
from shared.times import to_text

LONGEST_RANGE = timedelta(days=400)

SHARDS: tuple[tuple[date, int], ...] = ((date(2026, 1, 1), 4),)
"""From which day on an hour has how many shards; a change is a new line with a day to come."""


def shards_of(day: date) -> int:
    """How many shards the hours of this day have."""
    return next((count for start, count in reversed(SHARDS) if start <= day), SHARDS[0][1])


def shard_of(event_id: str, hour: datetime) -> int:
    """The shard that counts this event."""
    return int.from_bytes(hashlib.sha256(event_id.encode()).digest()[:8]) % shards_of(hour.date())


def hour_of(moment: datetime) -> datetime:
    """The start of the hour that this moment belongs to."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What the usage of an hour is broken down by."""

    agent_id: str
    model: str
    provider: str
    project_id: str | None


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much was used."""

    events: int = 0
    unpriced: int = 0
    """Of the events, those whose cost is not known."""
    priced_nano_usd: int = 0
    """The cost of the others."""
    meters: Meters = field(default_factory=dict[Meter, int])

    @property
    def cost_nano_usd(self) -> int | None:
        """The cost as far as it is known; None when it is known of no event."""
        return self.priced_nano_usd if self.events > self.unpriced else None

    def plus(self, other: "Amounts") -> "Amounts":
        """Both together."""
        return Amounts(
            self.events + other.events,
            self.unpriced + other.unpriced,
            self.priced_nano_usd + other.priced_nano_usd,
            total(self.meters, other.meters),
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One usage event as the ledger keeps it; it never changes."""

    event_id: str
    occurred_at: datetime
    run_id: str
    attempt: int
    call: int
    request_id: str
    agent_version: int
    dimensions: Dimensions
    meters: Meters
    """Without those that are 0."""
    cost_nano_usd: int | None
    price_version: str | None
    simulated: bool
    period: str
    """The month whose budget it was reserved in, `2026-11`."""
    content_hash: str
    """The same for the same content only."""

    @property
    def hour(self) -> datetime:
        """The hour that it is counted in."""
        return hour_of(self.occurred_at)

    @property
    def shard(self) -> int:
        """The shard that counts it."""
        return shard_of(self.event_id, self.hour)

    @property
    def amounts(self) -> Amounts:
        """What it adds to a counter."""
        return Amounts(1, int(self.cost_nano_usd is None), self.cost_nano_usd or 0, self.meters)


def entry_of(event: Event[UsageRecorded]) -> Entry:
    """The entry that this event makes."""
    said = event.data
    meters = {meter: amount for meter, amount in said.meters.items() if amount}
    return Entry(
        event_id=event.id,
        occurred_at=event.occurred_at,
        run_id=said.run_id,
        attempt=said.attempt,
        call=said.call,
        request_id=said.request_id,
        agent_version=said.version,
        dimensions=Dimensions(said.agent_id, said.model, said.provider, said.project_id),
        meters=meters,
        cost_nano_usd=said.cost_nano_usd,
        price_version=said.price_version,
        simulated=said.simulated,
        period=said.period,
        content_hash=_content_hash(event, meters),
    )


def _content_hash(event: Event[UsageRecorded], meters: Meters) -> str:
    """The hash of what is counted, and of where; what only explains it is left out."""
    said = event.data
    counted = {
        "occurred_at": to_text(event.occurred_at),
        "run": [said.run_id, said.attempt, said.call],
        "dimensions": [said.agent_id, said.model, said.provider, said.project_id],
        "meters": meters,
        "cost_nano_usd": said.cost_nano_usd,
        "simulated": said.simulated,
        "period": said.period,
    }
    return hashlib.sha256(json.dumps(counted, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def in_parts(entries: Iterable[Entry], *, size: int) -> list[list[Entry]]:
    """The different entries in parts of at most this size, in which no event id stands twice.

    An entry that is there twice is taken once. Of two with one id and different contents the second comes in a later
    part, so that it meets the first one in the ledger.
    """
    parts: list[dict[str, Entry]] = []
    for entry in {(entry.event_id, entry.content_hash): entry for entry in entries}.values():
        part = next((part for part in parts if len(part) < size and entry.event_id not in part), None)
        if part is None:
            parts.append(part := {})
        part[entry.event_id] = entry
    return [list(part.values()) for part in parts]


@dataclass(frozen=True, slots=True)
class Counter:
    """What is counted together: an hour of a shard, as a whole or of some dimensions."""

    hour: datetime
    shard: int
    dimensions: Dimensions | None = None
    """None: the total, which also is the fence of its hour and shard."""


def raised_by(entries: Iterable[Entry]) -> dict[Counter, Amounts]:
    """The counters that these entries raise, each with the sum."""
    raised: dict[Counter, Amounts] = {}
    for entry in entries:
        hour, shard = entry.hour, entry.shard
        for counter in (Counter(hour, shard), Counter(hour, shard, entry.dimensions)):
            raised[counter] = raised.get(counter, Amounts()).plus(entry.amounts)
    return raised


@dataclass(frozen=True, slots=True)
class Days:
    """A half-open range of days."""

    start: date
    end: date

    def by_month(self) -> Iterator["Days"]:
        """The same range, cut where months begin."""
        start = self.start
        while start < self.end:
            end = min(_next_month(start), self.end)
            yield Days(start, end)
            start = end

    @property
    def shards(self) -> int:
        """How many shards may hold something of these days."""
        last = self.end - timedelta(days=1)
        changes = [count for start, count in SHARDS if self.start < start <= last]
        return max(shards_of(self.start), *changes, 1)


class Period(StrEnum):
    """What a row of usage covers."""

    DAY = "day"
    MONTH = "month"

    def start_of(self, day: date) -> date:
        """The first day of the period that this day lies in."""
        return day if self is Period.DAY else day.replace(day=1)


class GroupBy(StrEnum):
    """What rows of usage can be broken down by."""

    AGENT = "agent"
    MODEL = "model"
    PROVIDER = "provider"
    PROJECT = "project"

    def value_of(self, dimensions: Dimensions) -> str | None:
        """The value of these dimensions."""
        return {
            GroupBy.AGENT: dimensions.agent_id,
            GroupBy.MODEL: dimensions.model,
            GroupBy.PROVIDER: dimensions.provider,
            GroupBy.PROJECT: dimensions.project_id,
        }[self]


def days_asked(start: date | None, end: date | None, *, period: Period, today: date) -> Days:
    """The range that is asked for; the default are the last 30 days or 12 months, with the current one.

    Raises:
        BadRange: it is empty, runs backwards or is too long.
    """
    if period is Period.DAY:
        end = end or today + timedelta(days=1)
        start = start or end - timedelta(days=30)
    else:
        end = end or _next_month(today)
        start = start or end.replace(year=end.year - 1, day=1)
    check_range(end - start)
    return Days(start, end)


def check_range(length: timedelta) -> None:
    """Let a range of this length pass.

    Raises:
        BadRange: it is empty, negative or too long.
    """
    if length <= timedelta(0):
        msg = "must be before to"
        raise BadRange(msg)
    if length > LONGEST_RANGE:
        msg = f"must be at most {LONGEST_RANGE.days} days before to"
        raise BadRange(msg)


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


@dataclass(frozen=True, slots=True)
class Row:
    """The usage of one period, or of one group in it."""

    start: date
    group: str | None
    """None also when it is of no group, for example of no project."""
    amounts: Amounts


def rows_of(counted: Iterable[tuple[Counter, Amounts]], *, period: Period, group_by: GroupBy | None) -> list[Row]:
    """Counters added up by period and group, the newest period first; without any event there is no row."""
    sums: dict[tuple[date, str | None], Amounts] = {}
    for counter, amounts in counted:
        group = group_by.value_of(counter.dimensions) if group_by and counter.dimensions else None
        key = (period.start_of(counter.hour.date()), group)
        sums[key] = sums.get(key, Amounts()).plus(amounts)
    found = [Row(start, group, amounts) for (start, group), amounts in sums.items() if amounts.events]
    by_group = sorted(found, key=lambda row: (row.group is None, row.group or ""))
    return sorted(by_group, key=lambda row: row.start, reverse=True)


def close_tenant(event: Event[TenantRunsStopped]) -> Event[UsageTenantClosed]:
    """What is to be said when a tenant has no hour left that is open."""
    return happened(
        UsageTenantClosed(),
        event_id=f"{event.tenant_id}:tenant_closed",
        tenant_id=event.tenant_id,
        subject=event.tenant_id,
        seq=event.seq,
        at=event.occurred_at,
    )
