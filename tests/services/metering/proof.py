"""The proof of counting: usage through every fault there is, and then the sums.

`python -m tests.services.metering.proof --events 1000000 --seed 1` runs it on a table in memory. What it does follows
from the seed alone.
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

from services.metering.domain.counting import Outcome
from services.metering.domain.hours import GRACE, HOUR
from services.metering.domain.periods import GroupBy, Period
from services.metering.domain.usage import Amounts, entry_of_call
from services.metering.operations import counting
from services.metering.table import SLICE, counters
from services.metering.table.amounts import meters_from_item
from shared.errors import DependencyUnavailable
from shared.events.envelope import Event, happened
from shared.events.metering import UsageCorrected, UsageHourClosed
from shared.events.runs import UsageRecorded
from shared.meters import Meter, total
from shared.observability import logger
from shared.storage.due import list_quarantined, release
from shared.storage.items import Item
from shared.storage.store import Store
from tests.dynamodb.faults import Crash, Fault, FaultyDynamoDB
from tests.dynamodb.memory import MemoryDynamoDB
from tests.services.metering.usage import close_due, counted

T = TypeVar("T")
Usage = Event[UsageRecorded]

TENANTS = ("proof-one", "proof-two")
START = datetime(2026, 11, 1, tzinfo=UTC)
HOURS, AGENTS, MODELS = 50, 20, 3
DUPLICATES, CONFLICTS, LATE = 0.20, 0.002, 0.05
FAULTS = 0.05
LARGEST_BATCH = 50


@dataclass(frozen=True, slots=True)
class Plan:
    """What is proven."""

    events: int
    """Different ones."""
    seed: int


@dataclass(slots=True)
class Result:
    """What was found."""

    plan: Plan
    deliveries: int = 0
    crashes: int = 0
    outcomes: "Tally[Outcome]" = field(default_factory=Tally["Outcome"])
    faults: dict[Fault, int] = field(default_factory=dict[Fault, int])
    expected: dict[str, Amounts] = field(default_factory=dict[str, Amounts])
    found: dict[str, dict[str, Amounts]] = field(default_factory=dict[str, dict[str, Amounts]])
    """By tenant, the same sum from each place where it can be read."""
    contradicted: set[str] = field(default_factory=set[str])
    """The events that came with other content too."""
    conflicts_kept: int = 0
    corrections: int = 0
    seconds: int = 0

    @property
    def unique(self) -> int:
        """Different events that were counted, by the ledger."""
        return sum(of_tenant[_LEDGER].events for of_tenant in self.found.values())

    @property
    def drift(self) -> int:
        """By how much any sum of any meter, of cost or of events is wrong."""
        return sum(
            _difference(
                _without_cost(self.expected[tenant_id]) if place == _SAID else self.expected[tenant_id], amounts
            )
            for tenant_id, found in self.found.items()
            for place, amounts in found.items()
        )

    @property
    def holds(self) -> bool:
        """Whether everything is as it must be."""
        return self.drift == 0 and self.unique == self.plan.events and self.conflicts_kept == len(self.contradicted)

    def lines(self) -> Iterator[str]:
        """The result, to be read."""
        yield f"events delivered     {self.deliveries:>12,}"
        yield f"unique events        {self.unique:>12,} of {self.plan.events:,}"
        yield f"sum drift            {self.drift:>12,} over {', '.join(self.found[TENANTS[0]])}"
        yield f"duplicates found     {self.outcomes[Outcome.DUPLICATE]:>12,}"
        yield f"conflicts found      {self.conflicts_kept:>12,} of {len(self.contradicted):,}"
        yield f"corrections          {self.corrections:>12,}"
        kinds = sum(1 for number in self.faults.values() if number)
        yield f"faults               {sum(self.faults.values()):>12,} of {kinds} kinds"
        yield f"seconds              {self.seconds:>12,}"
        yield f"seed {self.plan.seed}: {'it holds' if self.holds else 'IT DOES NOT HOLD'}"


def _without_cost(amounts: Amounts) -> Amounts:
    """What is said of an hour has no costs."""
    return Amounts(amounts.events, meters=amounts.meters)


def _difference(one: Amounts, other: Amounts) -> int:
    meters = total(one.meters, {meter: -amount for meter, amount in other.meters.items()})
    plain = (one.events - other.events, one.unpriced - other.unpriced, one.priced_nano_usd - other.priced_nano_usd)
    return sum(map(abs, (*plain, *meters.values())))


def prove(plan: Plan, client: Any, *, table: str, items: Callable[[], Iterator[Item]], rate: float = FAULTS) -> Result:  # noqa: ANN401 — botocore makes clients from data
    """Count everything, through faults, closing hours on the way; then read all sums without any fault.

    Args:
        plan: how much.
        client: of DynamoDB.
        table: the name of an empty table.
        items: reads all of the table.
        rate: of the calls that fail.
    """
    began = time.monotonic()
    chance = random.Random(plan.seed)  # noqa: S311 — a test that can be run again
    faulty = FaultyDynamoDB(client, rate=rate, chance=chance)
    sound = _store(client, table)
    result = Result(plan)
    _Delivery(plan, chance, _store(faulty, table), result).run()
    _close_all(sound)
    result.faults = faulty.happened
    _look_into(result, items())
    for tenant_id in TENANTS:
        result.found[tenant_id] |= {
            "days": counted(sound, tenant_id),
            "days by agent": counted(sound, tenant_id, group_by=GroupBy.AGENT),
            "months": counted(sound, tenant_id, period=Period.MONTH),
            "months by model": counted(sound, tenant_id, period=Period.MONTH, group_by=GroupBy.MODEL),
        }
    result.seconds = round(time.monotonic() - began)
    return result


_LEDGER, _SAID = "ledger", "hour totals + corrections"


def _look_into(result: Result, items: Iterator[Item]) -> None:
    """What the table itself says: the ledger, what is kept aside, and what was said of hours."""
    sums = {tenant_id: {_LEDGER: _Sum(), _SAID: _Sum()} for tenant_id in TENANTS}
    for item in items:
        _, tenant_id, _, *rest = str(item["PK"]).split("#")
        match rest, item.get("type"):
            case ["EVENT", _], _:
                cost = item["cost_nano_usd"]
                priced = 0 if cost is None else int(str(cost))
                sums[tenant_id][_LEDGER].add(Amounts(1, int(cost is None), priced, meters_from_item(item)))
            case ["ASIDE", _], _:
                result.conflicts_kept += item["because"] == Outcome.CONFLICT
            case _, UsageHourClosed.TYPE | UsageCorrected.TYPE:
                said = json.loads(str(item["event"]))["data"]
                sums[tenant_id][_SAID].add(Amounts(said["events"], meters=said["meters"]))
                result.corrections += "rev" in said
            case _:
                pass
    for tenant_id, of_tenant in sums.items():
        result.found[tenant_id] = {name: one.amounts for name, one in of_tenant.items()}


def _store(client: Any, table: str) -> Store:  # noqa: ANN401 — as above
    return Store(client, table=table, owned=SLICE, sleep=lambda _: None, jitter=lambda low, _: low)


class _Sum:
    """Amounts that are added up one by one."""

    def __init__(self) -> None:
        self._numbers: Tally[str] = Tally()

    def add(self, amounts: Amounts) -> None:
        """One more."""
        plain = {"events": amounts.events, "unpriced": amounts.unpriced, "cost": amounts.priced_nano_usd}
        self._numbers.update({**plain, **amounts.meters})

    @property
    def amounts(self) -> Amounts:
        """All of them."""
        meters = {meter: self._numbers[meter] for meter in Meter if self._numbers[meter]}
        return Amounts(self._numbers["events"], self._numbers["unpriced"], self._numbers["cost"], meters)


def _close_all(store: Store) -> None:
    """Until nothing is due."""
    now = START + HOURS * HOUR + timedelta(days=1)
    while any(counters.list_opened(store, tenant_id) for tenant_id in TENANTS):
        for failure in list_quarantined(store):
            release(store, failure.failure_id, now=now)
        close_due(store, now=now)


class _Delivery:
    """A queue that delivers at least once, in any order, to functions that die; and the closer beside it."""

    def __init__(self, plan: Plan, chance: random.Random, store: Store, result: Result) -> None:
        self._plan, self._chance, self._store, self._result = plan, chance, store, result
        self._made = {tenant_id: _Sum() for tenant_id in TENANTS}

    def run(self) -> None:
        """Hour by hour: what happened in it, what comes twice, and what of earlier hours comes late."""
        late: list[Usage] = []
        per_hour = -(-self._plan.events // HOURS)
        for hour in range(HOURS):
            first = hour * per_hour
            made = [self._event(hour, number) for number in range(first, min(first + per_hour, self._plan.events))]
            held_back = [event for event in made if self._chance.random() < LATE]
            kept = {event.id for event in held_back}
            now = [event for event in made if event.id not in kept]
            arriving, late = late, [event for event in held_back if hour < HOURS - 1]
            now += arriving + [event for event in held_back if hour == HOURS - 1]
            self._deliver(self._again(now), now=START + hour * HOUR + HOUR / 2)
            # The closer comes after the grace, so what is held back comes after closing; some of it, before.
            self._deliver(self._again(late[::2]), now=START + (hour + 1) * HOUR + GRACE / 2)
            late = late[1::2]
            self._try(close_due, self._store, now=START + (hour + 1) * HOUR + GRACE)
        self._deliver(late, now=START + HOURS * HOUR + GRACE)
        self._result.expected = {tenant_id: made.amounts for tenant_id, made in self._made.items()}

    def _again(self, events: Sequence[Usage]) -> list[Usage]:
        """The same with duplicates and conflicts, in any order."""
        twice = [event for event in events if self._chance.random() < DUPLICATES]
        delivered = [*events, *twice]
        self._chance.shuffle(delivered)
        return delivered

    def _deliver(self, events: Sequence[Usage], *, now: datetime) -> None:
        start = 0
        while start < len(events):
            batch = list(events[start : start + self._chance.randint(1, LARGEST_BATCH)])
            start += len(batch)
            self._hand_over(batch, now=now)
            if self._chance.random() < DUPLICATES / 4:
                self._hand_over(batch, now=now)
            if self._chance.random() < DUPLICATES / 4:
                self._hand_over(self._chance.sample(batch, k=-(-len(batch) // 2)), now=now)
            self._contradict(batch, now=now)

    def _contradict(self, batch: Sequence[Usage], *, now: datetime) -> None:
        """Some ids come with other content, after they were counted."""
        for event in batch:
            if self._chance.random() < CONFLICTS:
                meters = {**event.data.meters, Meter.TOKENS_OUT: event.data.meters[Meter.TOKENS_OUT] + 1}
                other = event.model_copy(update={"data": event.data.model_copy(update={"meters": meters})})
                self._hand_over([other], now=now)
                self._result.contradicted.add(event.id)

    def _hand_over(self, batch: Sequence[Usage], *, now: datetime) -> None:
        """Until every message of the batch is acknowledged."""
        waiting = list(batch)
        while waiting:
            self._result.deliveries += len(waiting)
            failed = self._try(self._consume, waiting, now=now)
            waiting = waiting if failed is None else [event for event in waiting if event.id in failed]

    def _consume(self, batch: Sequence[Usage], *, now: datetime) -> set[str]:
        """What the consumer does; says what must come again."""
        failed: set[str] = set()
        for tenant_id in TENANTS:
            entries = [entry_of_call(event) for event in batch if event.tenant_id == tenant_id]
            if entries:
                done = counting.count_of_tenant(self._store, tenant_id, entries, now=now)
                self._result.outcomes.update(done.outcomes.values())
                failed |= done.failed.keys()
        return failed

    def _try(self, act: Callable[..., T], *arguments: Any, now: datetime) -> T | None:  # noqa: ANN401 — those of the function
        """Its answer, or None when the function broke off."""
        try:
            return act(*arguments, now=now)
        except (Crash, ClientError, DependencyUnavailable):
            self._result.crashes += 1
            return None

    def _event(self, hour: int, number: int) -> Usage:
        """The event of this number, which happened in this hour."""
        chance = self._chance
        tenant_id = TENANTS[number % 2]
        at = START + hour * HOUR + timedelta(milliseconds=chance.randrange(3_600_000))
        run = f"run_{number:08}"
        said = UsageRecorded.model_construct(
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
        event = happened(said, event_id=f"{run}:1:1", tenant_id=tenant_id, subject=run, seq=1, at=at)
        self._made[tenant_id].add(entry_of_call(event).amounts)
        return event


def in_memory(plan: Plan, *, rate: float = FAULTS) -> Result:
    """The proof on a table in memory."""
    memory = MemoryDynamoDB()
    return prove(plan, memory, table="memory", items=memory.items, rate=rate)


def main() -> int:
    """Run it and print the result; the exit code says whether it holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    logger.setLevel("ERROR")
    result = in_memory(Plan(asked.events, asked.seed))
    sys.stdout.write("\n".join(result.lines()) + "\n")
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
