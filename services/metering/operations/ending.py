"""Counting how runs end, each once."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice

from services.metering.domain.endings import Ending
from services.metering.table import endings
from services.metering.table.rows import SeenRows
from shared.errors import DependencyUnavailable
from shared.storage.inbox import Delivery
from shared.storage.store import Store


def count_endings(
    store: Store,
    ended: Iterable[tuple[str, Ending]],
    *,
    consumer: str,
    now: datetime,
    seen: SeenRows | None = None,
) -> dict[str, Exception]:
    """Count the ends of runs of any tenants, each once, however often it is told.

    Args:
        store: the slice.
        ended: each with its tenant.
        consumer: who heard of them.
        now: when.
        seen: the rows of counters that the container knows to exist.

    Returns:
        By event id, why some are not counted yet; they must come again.
    """
    by_tenant: dict[str, dict[Delivery, Ending]] = {}
    for tenant_id, ending in ended:
        by_tenant.setdefault(tenant_id, {})[Delivery(consumer, ending.event_id, now)] = ending
    failed: dict[str, Exception] = {}
    for tenant_id, several in by_tenant.items():
        for part in _parted(several):
            failed |= _count(store, tenant_id, part, seen=seen or SeenRows())
    return failed


def _parted(several: Mapping[Delivery, Ending]) -> Iterator[dict[Delivery, Ending]]:
    left = iter(several.items())
    while part := dict(islice(left, endings.AT_ONCE)):
        yield part


def _count(store: Store, tenant_id: str, left: dict[Delivery, Ending], *, seen: SeenRows) -> dict[str, Exception]:
    try:
        while left:
            rows = endings.find_rows(store, tenant_id, left.values(), seen=seen)
            refused = endings.add_endings(store, tenant_id, left, rows=rows, seen=seen)
            if not refused:
                break
            left = {delivery: ending for delivery, ending in left.items() if delivery not in refused.known}
    except DependencyUnavailable as error:
        return {ending.event_id: error for ending in left.values()}
    return {}
