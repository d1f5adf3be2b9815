"""Counters of finished runs by day and agent, and the inbox marks of the events that they contain."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import cast

from services.metering.counters.domain.days import Days
from services.metering.counters.domain.hours import shard_of
from services.metering.counters.table.rows import SeenRows
from services.metering.partitions import SLICE
from services.metering.run_statistics.domain.durations import Durations
from services.metering.run_statistics.domain.statistics import (
    MAX_AGENTS_PER_SHARD,
    OTHER_AGENT,
    AssignedRows,
    FinishedRun,
    RunStatistics,
    assign_rows,
    candidate_rows,
    increments_of,
)
from shared.storage.inbox import Delivery
from shared.storage.items import Item, Key
from shared.storage.table import TenantRows, adding
from shared.storage.transaction import ABSENT, MAX_ACTIONS, Expression

MAX_RUNS_PER_TRANSACTION = MAX_ACTIONS // 3
"""The limit of runs per transaction. A run takes at most three actions: its mark, the counter of its day and agent, and
the number of counters of the day."""

_BUCKET = "ms_"


@dataclass(frozen=True, slots=True)
class RefusedRuns:
    """The reasons for which runs were not counted; empty if they were."""

    counted: frozenset[Delivery] = frozenset()
    """The deliveries that are counted already."""
    is_outdated: bool = False
    """Rows were added meanwhile, so the existing rows must be read again."""

    def __bool__(self) -> bool:
        return bool(self.counted or self.is_outdated)


class RunStatisticsTable(TenantRows):
    """The counters of a tenant's finished runs, which updates add to, and their number in each shard of a day."""

    def find_rows(self, runs: Collection[FinishedRun], *, seen: SeenRows) -> AssignedRows:
        """Choose the rows that count these runs. Only rows that this container does not know yet are read."""
        shard_key = self._key_function(runs)
        candidates = candidate_rows(runs)
        keys = {shard_key(day, agent_id): (day, agent_id) for day, agent_id in candidates}
        unseen = [key for key, row in keys.items() if key not in seen and row[1] != OTHER_AGENT]
        sizes = {shard_key(day, None): day for day in {keys[key][0] for key in unseen}}
        items = self.store.get_many([*unseen, *sizes]) if unseen else {}
        seen.add(key for key in unseen if key in items)
        return assign_rows(
            candidates,
            existing={row for key, row in keys.items() if key not in unseen or key in items},
            sizes={day: cast("int", items[key]["rows"]) for key, day in sizes.items() if key in items},
        )

    def add_runs(self, runs: Mapping[Delivery, FinishedRun], *, rows: AssignedRows, seen: SeenRows) -> RefusedRuns:
        """Increment the counters and write the inbox marks, all in one transaction.

        Args:
            runs: at most `MAX_RUNS_PER_TRANSACTION` runs of different events.
            rows: the rows that count them.
            seen: the rows that this container knows to exist.
        """
        transaction = self.transaction()
        marks = {delivery.mark_key(SLICE, self.tenant_id): delivery for delivery in runs}
        for delivery in runs:
            delivery.mark(transaction, SLICE)
        shard_key = self._key_function(runs.values())
        for (day, agent_id), amounts in increments_of(runs.values(), rows).items():
            when = ABSENT if (day, agent_id) in rows.new else None
            transaction.update(shard_key(day, agent_id), adding(_numbers(amounts), {"agentId": agent_id}), when=when)
        for day in sorted({day for day, _ in rows.new}):
            number = sum(of_day == day for of_day, _ in rows.new)
            room = Expression("attribute_not_exists(#rows) OR #rows <= :room", {"room": MAX_AGENTS_PER_SHARD - number})
            transaction.update(shard_key(day, None), adding({"rows": number}), when=room)
        refused = {refusal.action.key for refusal in self.store.try_commit(transaction)}
        if not refused:
            seen.add(shard_key(day, agent_id) for day, agent_id in rows.new)
        known = frozenset(marks[key] for key in refused & marks.keys())
        return RefusedRuns(known, is_outdated=bool(refused - marks.keys()))

    def read(self, days: Days) -> Iterator[tuple[str, RunStatistics]]:
        """Yield the finished runs of these days by agent. Each agent has several items to be added up."""
        # A sort key is longer than the day with which it starts, so the range excludes the last day.
        for item in self.items_between(self.partition("RUNS"), str(days.start), str(days.end)):
            yield str(item["agentId"]), _statistics_of(item)

    def _key_function(self, runs: Collection[FinishedRun]) -> Callable[[date, str | None], Key]:
        """Return a function that makes the keys of these counters, and, without an agent, of their number.

        As with usage, one transaction writes to one shard, so that concurrent transactions rarely conflict.
        """
        first, pk = min(run.event_id for run in runs), self.partition("RUNS")

        def key(day: date, agent_id: str | None) -> Key:
            shard = shard_of(first, day)
            return Key(pk, f"ROWS#{day}#{shard}" if agent_id is None else f"{day}#{agent_id}#{shard}")

        return key


def _numbers(amounts: RunStatistics) -> dict[str, int]:
    """Return the numbers to add. No codec has them, because each bucket of durations is an attribute."""
    numbers = {
        "completed": amounts.completed,
        "failed": amounts.failed,
        "cancelled": amounts.cancelled,
        "total_ms": amounts.durations.total_ms,
        **{f"{_BUCKET}{bucket}": count for bucket, count in amounts.durations.counts.items()},
    }
    return {name: number for name, number in numbers.items() if number}


def _statistics_of(item: Item) -> RunStatistics:
    numbers = {name: value for name, value in item.items() if isinstance(value, int)}
    return RunStatistics(
        numbers.get("completed", 0),
        numbers.get("failed", 0),
        numbers.get("cancelled", 0),
        Durations(
            numbers.get("total_ms", 0),
            {int(name.removeprefix(_BUCKET)): count for name, count in numbers.items() if name.startswith(_BUCKET)},
        ),
    )
