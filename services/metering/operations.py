"""What the metering service can do: count, and say what was counted."""

from collections.abc import Iterable, Mapping, Sequence

from services.metering import domain, table
from services.metering.domain import Counter, Days, Entry, GroupBy, Period, Row
from services.metering.errors import HourClosed
from shared.errors import DependencyUnavailable
from shared.events.envelope import Event
from shared.events.runs import TenantRunsStopped, UsageRecorded
from shared.observability import logger
from shared.storage.store import Store


def count_usage(store: Store, events: Iterable[Event[UsageRecorded]]) -> Mapping[str, Exception]:
    """Count events of any tenants, each exactly once, however often and in whatever company they come.

    Returns:
        By event id, why some are not counted yet; they must come again.
    """
    by_tenant: dict[str, list[Entry]] = {}
    for event in events:
        by_tenant.setdefault(event.tenant_id, []).append(domain.entry_of(event))
    failed: dict[str, Exception] = {}
    for tenant_id, entries in by_tenant.items():
        for part in domain.in_parts(entries, size=table.ENTRIES_AT_ONCE):
            failed |= _count_part(store, tenant_id, part)
    return failed


def _count_part(store: Store, tenant_id: str, entries: Sequence[Entry]) -> dict[str, Exception]:
    """Count what fits into one transaction, trying again without what it refuses."""
    left: dict[str, Entry] = {entry.event_id: entry for entry in entries}
    failed: dict[str, Exception] = {}
    try:
        while left and (refused := table.add_entries(store, tenant_id, list(left.values()))):
            for event_id, hash_there in refused.hashes_there.items():
                if left[event_id].content_hash != hash_there:
                    _keep_aside(store, tenant_id, left[event_id])
                del left[event_id]
            closed = [entry.event_id for entry in left.values() if Counter(entry.hour, entry.shard) in refused.closed]
            failed |= {event_id: HourClosed() for event_id in closed}
            left = {event_id: entry for event_id, entry in left.items() if event_id not in failed}
    except DependencyUnavailable as error:
        # If the transaction was carried out all the same, they come back as duplicates.
        failed |= dict.fromkeys(left, error)
    return failed


def _keep_aside(store: Store, tenant_id: str, entry: Entry) -> None:
    table.keep_aside(store, tenant_id, entry)
    logger.warning("usage conflict", tenant_id=tenant_id, event_id=entry.event_id, content_hash=entry.content_hash)


def usage_of(store: Store, tenant_id: str, days: Days, *, period: Period, group_by: GroupBy | None) -> list[Row]:
    """The tenant's usage in these days by period and group, the newest first."""
    counted = table.read_counters(store, tenant_id, days, by_dimensions=group_by is not None)
    return domain.rows_of(counted, period=period, group_by=group_by)


def close_tenant(store: Store, event: Event[TenantRunsStopped]) -> None:
    """Say that all hours of a tenant that is being deleted are closed."""
    table.say(store, event.tenant_id, domain.close_tenant(event))
