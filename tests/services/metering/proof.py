"""The proof of counting: deliver usage with every kind of fault, then compare all sums.

`python -m tests.services.metering.proof --events 1000000 --seed 1` runs it on a table in memory. The result depends on
the seed alone.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from services.metering.counters.domain.amounts import Amounts
from services.metering.counters.domain.days import UsagePeriod
from services.metering.counters.domain.hours import GRACE_PERIOD, HOUR
from services.metering.counters.table.attributes import METERS
from services.metering.counters.table.revisions import OpenRevisionTable
from services.metering.ingestion import operations as ingestion
from services.metering.ledger.domain.counting import CountingOutcome
from services.metering.ledger.domain.entries import entry_from_call
from services.metering.partitions import SLICE
from services.metering.usage.domain import GroupBy
from shared.errors import DependencyUnavailable
from shared.events.envelope import Event, new_event
from shared.events.metering import UsageCorrected, UsageHourClosed
from shared.events.runs import UsageRecorded
from shared.meters import LEDGER_METERS, Meter, total
from shared.observability import logger
from shared.storage.items import Item
from shared.storage.quarantine import list_quarantined, release
from shared.storage.store import Store
from tests.dynamodb.faults import Crash, Fault, FaultyDynamoDB
from tests.dynamodb.memory import MemoryDynamoDB
from tests.services.metering.fixtures import close_due, counted

T = TypeVar("T")
Usage = Event[UsageRecorded]

TENANTS = ("proof-one", "proof-two")
START = datetime(2026, 11, 1, tzinfo=UTC)
HOURS, AGENTS, MODELS = 50, 20, 3
DUPLICATES, CONFLICTS, LATE = 0.20, 0.002, 0.05
FAULTS = 0.05
LARGEST_BATCH = 50


@dataclass(frozen=True, slots=True)
class ProofPlan:
    """The parameters of a proof."""

    events: int
    """The number of distinct events."""
    seed: int


@dataclass(slots=True)
class ProofResult:
    """The result of a proof."""

    plan: ProofPlan
    deliveries: int = 0
    crashes: int = 0
    outcomes: "Tally[CountingOutcome]" = field(default_factory=Tally["CountingOutcome"])
    faults: dict[Fault, int] = field(default_factory=dict[Fault, int])
    expected: dict[str, Amounts] = field(default_factory=dict[str, Amounts])
    found: dict[str, dict[str, Amounts]] = field(default_factory=dict[str, dict[str, Amounts]])
    """By tenant, the same sum from each source."""
    conflicting: set[str] = field(default_factory=set[str])
    """The ids that were also delivered with different content."""
    conflicts_quarantined: int = 0
    corrections: int = 0
    seconds: int = 0

    @property
    def unique(self) -> int:
        """The number of distinct events in the ledger."""
        return sum(of_tenant[_LEDGER].events for of_tenant in self.found.values())

    @property
    def drift(self) -> int:
        """The sum of all differences in meters, costs and numbers of events."""
        return sum(
            _difference(
                _without_cost(self.expected[tenant_id]) if place == _PUBLISHED else self.expected[tenant_id], amounts
            )
            for tenant_id, found in self.found.items()
            for place, amounts in found.items()
        )

    @property
    def holds(self) -> bool:
        """Whether all events are counted exactly once."""
        return (
            self.drift == 0 and self.unique == self.plan.events and self.conflicts_quarantined == len(self.conflicting)
        )

    def lines(self) -> Iterator[str]:
        """Yield the lines of the report."""
        yield f"events delivered     {self.deliveries:>12,}"
        yield f"unique events        {self.unique:>12,} of {self.plan.events:,}"
        yield f"sum drift            {self.drift:>12,} over {', '.join(self.found[TENANTS[0]])}"
        yield f"duplicates found     {self.outcomes[CountingOutcome.DUPLICATE]:>12,}"
        yield f"conflicts found      {self.conflicts_quarantined:>12,} of {len(self.conflicting):,}"
        yield f"corrections          {self.corrections:>12,}"
        kinds = sum(1 for number in self.faults.values() if number)
        yield f"faults               {sum(self.faults.values()):>12,} of {kinds} kinds"
        yield f"seconds              {self.seconds:>12,}"
        yield f"seed {self.plan.seed}: {'it holds' if self.holds else 'IT DOES NOT HOLD'}"


def _without_cost(amounts: Amounts) -> Amounts:
    """Remove the costs, which published hours do not contain."""
    return Amounts(amounts.events, meters=amounts.meters)


def _difference(one: Amounts, other: Amounts) -> int:
    meters = total(one.meters, {meter: -amount for meter, amount in other.meters.items()})
    plain = (one.events - other.events, one.unpriced - other.unpriced, one.priced_nano_usd - other.priced_nano_usd)
    return sum(map(abs, (*plain, *meters.values())))


def prove(
    plan: ProofPlan,
    client: Any,  # noqa: ANN401 — botocore makes clients from data
    *,
    table: str,
    items: Callable[[], Iterator[Item]],
    rate: float = FAULTS,
) -> ProofResult:
    """Count all events with faults, close hours meanwhile, then read all sums without faults.

    Args:
        plan: the number of events and the seed.
        client: the DynamoDB client.
        table: the name of an empty table.
        items: reads the whole table.
        rate: the share of calls that fail.
    """
    started_at = time.monotonic()
    chance = random.Random(plan.seed)  # noqa: S311 — a test that can be run again
    faulty = FaultyDynamoDB(client, rate=rate, chance=chance)
    sound = _store(client, table)
    result = ProofResult(plan)
    _FaultyQueue(plan, chance, _store(faulty, table), result).run()
    _close_all(sound)
    result.faults = faulty.fault_counts
    _read_table(result, items())
    for tenant_id in TENANTS:
        result.found[tenant_id] |= {
            "days": counted(sound, tenant_id),
            "days by agent": counted(sound, tenant_id, group_by=GroupBy.AGENT),
            "months": counted(sound, tenant_id, period=UsagePeriod.MONTH),
            "months by model": counted(sound, tenant_id, period=UsagePeriod.MONTH, group_by=GroupBy.MODEL),
        }
    result.seconds = round(time.monotonic() - started_at)
    return result


_LEDGER, _PUBLISHED = "ledger", "hour totals + corrections"


def _read_table(result: ProofResult, items: Iterator[Item]) -> None:
    """Read the ledger, the quarantine and the published hours from the table."""
    sums = {tenant_id: {_LEDGER: _Sum(), _PUBLISHED: _Sum()} for tenant_id in TENANTS}
    for item in items:
        _, tenant_id, _, *rest = str(item["PK"]).split("#")
        match rest, item.get("type"):
            case ["EVENT", _], _:
                cost = item.get("cost_nano_usd")
                priced = 0 if cost is None else int(str(cost))
                sums[tenant_id][_LEDGER].add(Amounts(1, int(cost is None), priced, METERS.decode(item)))
            case ["ASIDE", _], _:
                result.conflicts_quarantined += item["because"] == CountingOutcome.CONFLICT
            case _, UsageHourClosed.TYPE | UsageCorrected.TYPE:
                payload = json.loads(str(item["event"]))["data"]
                sums[tenant_id][_PUBLISHED].add(Amounts(payload["events"], meters=payload["meters"]))
                result.corrections += "rev" in payload
            case _:
                pass
    for tenant_id, of_tenant in sums.items():
        result.found[tenant_id] = {name: one.amounts for name, one in of_tenant.items()}


def _store(client: Any, table: str) -> Store:  # noqa: ANN401 — as above
    return Store(client, table=table, owned=SLICE, sleep=lambda _: None, jitter=lambda low, _: low)


class _Sum:
    """A running sum of amounts."""

    def __init__(self) -> None:
        self._numbers: Tally[str] = Tally()

    def add(self, amounts: Amounts) -> None:
        """Add amounts."""
        plain = {"events": amounts.events, "unpriced": amounts.unpriced, "cost": amounts.priced_nano_usd}
        self._numbers.update({**plain, **amounts.meters})

    @property
    def amounts(self) -> Amounts:
        """The sum."""
        meters = {meter: self._numbers[meter] for meter in LEDGER_METERS if self._numbers[meter]}
        return Amounts(self._numbers["events"], self._numbers["unpriced"], self._numbers["cost"], meters)


def _close_all(store: Store) -> None:
    """Close hours until none is open."""
    now = START + HOURS * HOUR + timedelta(days=1)
    while any(opened for tenant_id in TENANTS for opened in OpenRevisionTable(store, tenant_id).all()):
        for failure in list_quarantined(store):
            release(store, failure.failure_id, now=now)
        close_due(store, now=now)


class _FaultyQueue:
    """A queue that delivers at least once and in any order to a failing consumer, and the closer."""

    def __init__(self, plan: ProofPlan, chance: random.Random, store: Store, result: ProofResult) -> None:
        self._plan, self._chance, self._store, self._result = plan, chance, store, result
        self._sums = {tenant_id: _Sum() for tenant_id in TENANTS}

    def run(self) -> None:
        """Deliver the events of each hour, with duplicates, and late events of earlier hours."""
        late: list[Usage] = []
        per_hour = -(-self._plan.events // HOURS)
        for hour in range(HOURS):
            first = hour * per_hour
            made = [self._event(hour, number) for number in range(first, min(first + per_hour, self._plan.events))]
            held_back = [event for event in made if self._chance.random() < LATE]
            retained = {event.id for event in held_back}
            now = [event for event in made if event.id not in retained]
            arriving, late = late, [event for event in held_back if hour < HOURS - 1]
            now += arriving + [event for event in held_back if hour == HOURS - 1]
            self._deliver(self._with_duplicates(now), now=START + hour * HOUR + HOUR / 2)
            # The closer runs after the grace period. Half of the late events arrive before it, half after it.
            self._deliver(self._with_duplicates(late[::2]), now=START + (hour + 1) * HOUR + GRACE_PERIOD / 2)
            late = late[1::2]
            self._try(close_due, self._store, now=START + (hour + 1) * HOUR + GRACE_PERIOD)
        self._deliver(late, now=START + HOURS * HOUR + GRACE_PERIOD)
        self._result.expected = {tenant_id: made.amounts for tenant_id, made in self._sums.items()}

    def _with_duplicates(self, events: Sequence[Usage]) -> list[Usage]:
        """Return the events with duplicates, shuffled."""
        twice = [event for event in events if self._chance.random() < DUPLICATES]
        delivered = [*events, *twice]
        self._chance.shuffle(delivered)
        return delivered

    def _deliver(self, events: Sequence[Usage], *, now: datetime) -> None:
        start = 0
        while start < len(events):
            batch = list(events[start : start + self._chance.randint(1, LARGEST_BATCH)])
            start += len(batch)
            self._redeliver(batch, now=now)
            if self._chance.random() < DUPLICATES / 4:
                self._redeliver(batch, now=now)
            if self._chance.random() < DUPLICATES / 4:
                self._redeliver(self._chance.sample(batch, k=-(-len(batch) // 2)), now=now)
            self._deliver_conflicts(batch, now=now)

    def _deliver_conflicts(self, batch: Sequence[Usage], *, now: datetime) -> None:
        """Deliver some ids again with different content."""
        for event in batch:
            if self._chance.random() < CONFLICTS:
                meters = {**event.data.meters, Meter.TOKENS_OUT: event.data.meters[Meter.TOKENS_OUT] + 1}
                other = event.model_copy(update={"data": event.data.model_copy(update={"meters": meters})})
                self._redeliver([other], now=now)
                self._result.conflicting.add(event.id)

    def _redeliver(self, batch: Sequence[Usage], *, now: datetime) -> None:
        """Deliver a batch until every message is acknowledged."""
        pending = list(batch)
        while pending:
            self._result.deliveries += len(pending)
            failed = self._try(self._consume, pending, now=now)
            pending = pending if failed is None else [event for event in pending if event.id in failed]

    def _consume(self, batch: Sequence[Usage], *, now: datetime) -> set[str]:
        """Count a batch and return the ids to redeliver."""
        failed: set[str] = set()
        for tenant_id in TENANTS:
            entries = [entry_from_call(event) for event in batch if event.tenant_id == tenant_id]
            if entries:
                counted_batch = ingestion.count_of_tenant(self._store, tenant_id, entries, now=now)
                self._result.outcomes.update(counted_batch.outcomes.values())
                failed |= counted_batch.failed.keys()
        return failed

    def _try(self, act: Callable[..., T], *arguments: Any, now: datetime) -> T | None:  # noqa: ANN401 — those of the function
        """Return the result of a function, or None if it crashed."""
        try:
            return act(*arguments, now=now)
        except (Crash, ClientError, DependencyUnavailable):
            self._result.crashes += 1
            return None

    def _event(self, hour: int, number: int) -> Usage:
        """Return the event with this number, which occurred in this hour."""
        chance = self._chance
        tenant_id = TENANTS[number % 2]
        at = START + hour * HOUR + timedelta(milliseconds=chance.randrange(3_600_000))
        run = f"run_{number:08}"
        payload = UsageRecorded.model_construct(
            run_id=run,
            attempt=1,
            call=1,
            request_id=f"request-{number}",
            agent_id=f"agt_{chance.randrange(AGENTS)}",
            version=1,
            project_id=None,
            provider="simulated",
            model=f"model-{chance.randrange(MODELS)}",
            meters={
                Meter.REQUESTS: 1,
                Meter.TOKENS_IN: chance.randrange(1, 5_000),
                Meter.TOKENS_OUT: chance.randrange(1, 2_000),
                Meter.COMPUTE_MS: chance.randrange(60_000),
            },
            cost_nano_usd=chance.choice((None, chance.randrange(10**7))),
            price_version="2026-11-01",
            simulated=True,
            period=f"{at:%Y-%m}",
        )
        event = new_event(payload, event_id=f"{run}:1:1", tenant_id=tenant_id, subject=run, seq=1, at=at)
        self._sums[tenant_id].add(entry_from_call(event).amounts)
        return event


def in_memory(plan: ProofPlan, *, rate: float = FAULTS) -> ProofResult:
    """Run the proof on a table in memory."""
    memory = MemoryDynamoDB()
    return prove(plan, memory, table="memory", items=memory.items, rate=rate)


def main() -> int:
    """Run the proof, print the result, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logger.setLevel("ERROR")
    result = in_memory(ProofPlan(options.events, options.seed))
    sys.stdout.write("\n".join(result.lines()) + "\n")
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
