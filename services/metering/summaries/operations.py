"""Publishing summaries of a tenant's month, and thresholds of its limits."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from services.metering.counters.domain.days import month_of
from services.metering.storage.table import StorageTable
from services.metering.summaries import domain
from services.metering.summaries.domain import Summary, Threshold
from services.metering.summaries.table import INTERVAL, PublishedSummary, SummaryTable
from services.metering.usage import operations as usage
from shared.copies.tenant_access import TenantAccessCopies
from shared.errors import DependencyUnavailable
from shared.observability import logger
from shared.storage.store import Store
from shared.tenancy.context import Allowance


class SummaryThrottle:
    """The summary intervals that this container knows. It does not ask the table for the lease until they end."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], datetime] = {}

    def add(self, tenant_id: str, month: str, *, until: datetime, now: datetime) -> None:
        """Remember that the lease is not available until then. Intervals that have ended are removed."""
        self._until = {named: end for named, end in self._until.items() if end > now}
        self._until[tenant_id, month] = until

    def has(self, tenant_id: str, month: str, *, now: datetime) -> bool:
        """Return whether the lease would certainly be refused now."""
        until = self._until.get((tenant_id, month))
        return until is not None and now < until


def summarize(
    store: Store, tenant_id: str, months: Iterable[str], *, now: datetime, throttle: SummaryThrottle | None = None
) -> None:
    """Publish the usage of these months, at most every 10 s. Usage in that interval is published when it ends.

    A failure is not a reason to count usage again: the next usage, or the closing of its hour, publishes the summary.
    """
    known = throttle or SummaryThrottle()
    for month in sorted(set(months)):
        try:
            if not known.has(tenant_id, month, now=now):
                _summarize(store, tenant_id, month, now=now, throttle=known)
        except DependencyUnavailable as error:
            logger.warning("not summarized", tenant_id=tenant_id, month=month, error=str(error))


def publish_missed(store: Store, tenant_id: str, month: str, *, now: datetime) -> None:
    """Publish the month so far if an earlier summary was lost.

    Within the interval after a summary nothing is done, because the month is checked at its end anyway. An outage is
    not a reason to close an hour again: the next usage publishes the summary.
    """
    try:
        published = SummaryTable(store, tenant_id).find(month)
        is_paused = published is not None and published.next_at is not None and now < published.next_at
        if is_paused or (published and not _unpublished(store, tenant_id, month, published)):
            return
        _summarize(store, tenant_id, month, now=now, throttle=SummaryThrottle())
    except DependencyUnavailable as error:
        logger.warning("not summarized", tenant_id=tenant_id, month=month, error=str(error))


def publish_pending(store: Store, tenant_id: str, month: str, *, now: datetime) -> None:
    """Publish the usage that was counted in an interval that has ended.

    The interval is ended before the month is read. Usage that is counted in between is either part of this read, or its
    consumer acquires the lease.

    Raises:
        DependencyUnavailable: the usage is not published yet.
    """
    last = SummaryTable(store, tenant_id).release_lease(month, now=now)
    if last is not None and last != _so_far(store, tenant_id, month):
        _summarize(store, tenant_id, month, now=now, throttle=SummaryThrottle())


def _summarize(store: Store, tenant_id: str, month: str, *, now: datetime, throttle: SummaryThrottle) -> None:
    """Acquire the lease of the month, and publish its summary and thresholds if they have changed."""
    summaries = SummaryTable(store, tenant_id)
    last = summaries.acquire_lease(month, now=now)
    if isinstance(last, datetime):
        throttle.add(tenant_id, month, until=last, now=now)
        return
    throttle.add(tenant_id, month, until=now + INTERVAL, now=now)
    # If nothing is published now, no event triggers the summarizer. The closer then publishes the usage of this
    # interval.
    if changes := _unpublished(store, tenant_id, month, last):
        events = domain.summary_events(tenant_id, month, changes.summary, changes.thresholds, seq=last.seq, at=now)
        summaries.publish(last, changes.summary, thresholds=changes.thresholds, events=events)


@dataclass(frozen=True, slots=True)
class _Unpublished:
    """The current summary of a month that must be published, and the thresholds that are reached for the first time."""

    summary: Summary
    thresholds: list[Threshold]


def _unpublished(store: Store, tenant_id: str, month: str, published: PublishedSummary) -> _Unpublished | None:
    """Return the changes of a month since a summary, or None without any."""
    summary, allowance = _so_far(store, tenant_id, month), _allowance_of(store, tenant_id)
    reached = domain.thresholds_reached(summary, allowance, published=published.thresholds) if allowance else []
    return _Unpublished(summary, reached) if summary != published.summary or reached else None


def _so_far(store: Store, tenant_id: str, month: str) -> Summary:
    days = month_of(date.fromisoformat(f"{month}-01"))
    amounts = usage.month_so_far(store, tenant_id, days)
    return domain.summary_of(amounts, storage_bytes=StorageTable(store, tenant_id).read().bytes_now)


def _allowance_of(store: Store, tenant_id: str) -> Allowance | None:
    """Return the tenant's limits, or None if the tenant, and therefore its limits, are not known here yet."""
    access = TenantAccessCopies(store).find(tenant_id)
    return access.allowance if access else None
