"""How the runs of each day ended: the counters, and the marks of what is in them."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from services.metering.domain.durations import Durations
from services.metering.domain.endings import (
    MAX_AGENTS_PER_SHARD,
    OTHER_AGENT,
    Ending,
    EndingRows,
    Endings,
    allot,
    raised_by,
    rows_of,
)
from services.metering.domain.hours import shard_of
from services.metering.domain.periods import Days
from services.metering.table import SLICE
from services.metering.table.rows import SeenRows
from shared.storage.inbox import Delivery
from shared.storage.items import Item, Key, Reader
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, MAX_ACTIONS, Expression, Transaction

AT_ONCE = MAX_ACTIONS // 3
"""An end is at most three actions: its mark, the counter of its day and agent, and the number of these counters."""

_BUCKET = "ms_"


@dataclass(frozen=True, slots=True)
class RefusedEndings:
    """Why endings were not counted; empty: they were."""

    known: frozenset[Delivery] = frozenset()
    """These are counted already."""
    is_outdated: bool = False
    """Rows were added meanwhile: which of them exist must be read again."""

    def __bool__(self) -> bool:
        return bool(self.known or self.is_outdated)


def find_rows(store: Store, tenant_id: str, endings: Collection[Ending], *, seen: SeenRows) -> EndingRows:
    """Choose the rows that count these endings. Only rows that this container has not seen yet are read."""
    shard_key = _keys_of_part(tenant_id, endings)
    wanted = rows_of(endings)
    keys = {shard_key(day, agent_id): (day, agent_id) for day, agent_id in wanted}
    unseen = [key for key, row in keys.items() if key not in seen and row[1] != OTHER_AGENT]
    sizes = {shard_key(day, None): day for day in {keys[key][0] for key in unseen}}
    items = store.get_many([*unseen, *sizes]) if unseen else {}
    seen.add(key for key in unseen if key in items)
    return allot(
        wanted,
        existing={row for key, row in keys.items() if key not in unseen or key in items},
        sizes={day: Reader(items[key]).integer("rows") for key, day in sizes.items() if key in items},
    )


def add_endings(
    store: Store, tenant_id: str, endings: Mapping[Delivery, Ending], *, rows: EndingRows, seen: SeenRows
) -> RefusedEndings:
    """Raise the counters and mark what is in them: all of it, or nothing.

    Args:
        store: the slice.
        tenant_id: whose runs.
        endings: at most `AT_ONCE`, of different events.
        rows: that count them.
        seen: the rows that this container knows to exist.
    """
    transaction = Transaction(tenant_id)
    marks = {delivery.mark_key(SLICE, tenant_id): delivery for delivery in endings}
    for delivery in endings:
        delivery.mark(transaction, SLICE)
    shard_key = _keys_of_part(tenant_id, endings.values())
    for (day, agent_id), amounts in raised_by(endings.values(), rows).items():
        when = ABSENT if (day, agent_id) in rows.new else None
        transaction.update(shard_key(day, agent_id), _add(agent_id, amounts), when=when)
    for day in sorted({day for day, _ in rows.new}):
        number = sum(of_day == day for of_day, _ in rows.new)
        room = Expression("attribute_not_exists(#rows) OR #rows <= :room", {"room": MAX_AGENTS_PER_SHARD - number})
        transaction.update(shard_key(day, None), Expression("ADD #rows :number", {"number": number}), when=room)
    refused = {one.action.key for one in store.try_commit(transaction)}
    if not refused:
        seen.add(shard_key(day, agent_id) for day, agent_id in rows.new)
    known = frozenset(marks[key] for key in refused & marks.keys())
    return RefusedEndings(known, is_outdated=bool(refused - marks.keys()))


def _keys_of_part(tenant_id: str, endings: Collection[Ending]) -> Callable[[date, str | None], Key]:
    """Return what makes the keys of these endings' counters, and, without an agent, of the number of them.

    As with usage, what is counted together is counted in one shard, so that those who count at once rarely meet.
    """
    first = min(ending.event_id for ending in endings)

    def key(day: date, agent_id: str | None) -> Key:
        shard = shard_of(first, day)
        return Key(_pk(tenant_id), f"ROWS#{day}#{shard}" if agent_id is None else f"{day}#{agent_id}#{shard}")

    return key


def read_endings(store: Store, tenant_id: str, days: Days) -> Iterator[tuple[str, Endings]]:
    """How the runs of these days ended, by agent; of each there are several to be added up."""
    values = {"pk": _pk(tenant_id), "first": str(days.start), "end": str(days.end)}
    # A place is longer than the day that it begins with, so the last day is left out.
    for item in store.query_all(Expression("#PK = :pk AND #SK BETWEEN :first AND :end", values)):
        yield Reader(item).text("agentId"), _from_item(item)


def _add(agent_id: str, amounts: Endings) -> Expression:
    added = {
        "completed": amounts.completed,
        "failed": amounts.failed,
        "cancelled": amounts.cancelled,
        "total_ms": amounts.durations.total_ms,
        **{f"{_BUCKET}{bucket}": count for bucket, count in amounts.durations.counts.items()},
    }
    added = {name: amount for name, amount in added.items() if amount}
    text = "ADD " + ", ".join(f"#{name} :{name}" for name in added)
    return Expression(f"{text} SET #agentId = :agentId", {**added, "agentId": agent_id})


def _from_item(item: Item) -> Endings:
    reader = Reader(item)
    buckets = [name for name in reader.names if name.startswith(_BUCKET)]
    return Endings(
        reader.optional_integer("completed") or 0,
        reader.optional_integer("failed") or 0,
        reader.optional_integer("cancelled") or 0,
        Durations(
            reader.optional_integer("total_ms") or 0,
            {int(name.removeprefix(_BUCKET)): reader.integer(name) for name in buckets},
        ),
    )


def _pk(tenant_id: str) -> str:
    return SLICE.key(tenant_id, "RUNS")
