"""Counting finished runs, each once."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice

from services.metering.counters.table.rows import SeenRows
from services.metering.run_statistics.domain.statistics import FinishedRun
from services.metering.run_statistics.table import MAX_RUNS_PER_TRANSACTION, RunStatisticsTable
from shared.errors import DependencyUnavailable
from shared.storage.inbox import Delivery
from shared.storage.store import Store


def count_runs(
    store: Store,
    runs: Iterable[tuple[str, FinishedRun]],
    *,
    consumer: str,
    now: datetime,
    seen: SeenRows | None = None,
) -> dict[str, Exception]:
    """Count finished runs of any tenants, each once, however often its event is delivered.

    Args:
        store: the slice.
        runs: pairs of tenant id and finished run.
        consumer: the consumer that received the events.
        now: the time at which they were received.
        seen: the counter rows that the container knows to exist.

    Returns:
        The errors of runs that are not counted yet and must be delivered again, by event id.
    """
    by_tenant: dict[str, dict[Delivery, FinishedRun]] = {}
    for tenant_id, run in runs:
        by_tenant.setdefault(tenant_id, {})[Delivery(consumer, run.event_id, now)] = run
    failed: dict[str, Exception] = {}
    for tenant_id, deliveries in by_tenant.items():
        for part in _batches(deliveries):
            failed |= _count(store, tenant_id, part, seen=seen or SeenRows())
    return failed


def _batches(deliveries: Mapping[Delivery, FinishedRun]) -> Iterator[dict[Delivery, FinishedRun]]:
    remaining = iter(deliveries.items())
    while part := dict(islice(remaining, MAX_RUNS_PER_TRANSACTION)):
        yield part


def _count(
    store: Store, tenant_id: str, remaining: dict[Delivery, FinishedRun], *, seen: SeenRows
) -> dict[str, Exception]:
    statistics = RunStatisticsTable(store, tenant_id)
    try:
        while remaining:
            rows = statistics.find_rows(remaining.values(), seen=seen)
            refused = statistics.add_runs(remaining, rows=rows, seen=seen)
            if not refused:
                break
            remaining = {delivery: run for delivery, run in remaining.items() if delivery not in refused.counted}
    except DependencyUnavailable as error:
        return {run.event_id: error for run in remaining.values()}
    return {}
