"""How the runs of each day ended: the counters, and the marks of what is in them."""

from collections.abc import Iterator, Mapping

from services.metering.domain.durations import Durations
from services.metering.domain.endings import Ending, Endings, raised_by
from services.metering.domain.hours import shard_of
from services.metering.domain.periods import Days
from services.metering.table import SLICE
from shared.storage.inbox import Delivery
from shared.storage.items import Item, Key, Reader
from shared.storage.store import Store
from shared.storage.transaction import MAX_ACTIONS, Expression, Transaction

AT_ONCE = MAX_ACTIONS // 2
"""An end is at most two actions: its mark, and the counter of its day and agent."""

_BUCKET = "ms_"


def add_endings(store: Store, tenant_id: str, endings: Mapping[Delivery, Ending]) -> set[Delivery]:
    """Raise the counters and mark what is in them: all of it, or nothing.

    Args:
        store: the slice.
        tenant_id: whose runs.
        endings: at most `AT_ONCE`, of different events.

    Returns:
        Those that are counted already, for which nothing was done; empty: it was carried out.
    """
    transaction = Transaction(tenant_id)
    marks = {delivery.mark_key(SLICE, tenant_id): delivery for delivery in endings}
    for delivery in endings:
        delivery.mark(transaction, SLICE)
    # As with usage, what is counted together is counted in one shard, so that those who count at once rarely meet.
    first = min(ending.event_id for ending in endings.values())
    for (day, agent_id), amounts in raised_by(endings.values()).items():
        place = f"{day}#{agent_id}#{shard_of(first, day)}"
        transaction.update(Key(_pk(tenant_id), place), _add(agent_id, amounts))
    return {marks[refused.action.key] for refused in store.try_commit(transaction)}


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
