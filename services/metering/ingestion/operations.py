"""Counting usage, reported by other services or by tenants, and publishing the month that contains it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.metering.counters.table.rows import SeenRows
from services.metering.errors import InvalidUsageEvent, ReportingRateExceeded
from services.metering.ingestion import domain
from services.metering.ingestion.table import RateTable
from services.metering.ledger import operations as ledger
from services.metering.ledger.domain.counting import CountingOutcome
from services.metering.ledger.domain.entries import LedgerEntry
from services.metering.ledger.operations import CountingResult
from services.metering.storage import operations as storage
from services.metering.storage.domain import StorageChange
from services.metering.summaries import operations as summaries
from services.metering.summaries.domain import is_summarized
from services.metering.summaries.operations import SummaryThrottle
from shared.storage.inbox import Delivery
from shared.storage.store import Store


def count(
    store: Store,
    entries: Iterable[tuple[str, LedgerEntry]],
    *,
    now: datetime,
    throttle: SummaryThrottle | None = None,
    seen: SeenRows | None = None,
) -> dict[str, Exception]:
    """Count entries of any tenants, each exactly once, however often they are delivered and in any batch.

    Args:
        store: the slice.
        entries: pairs of tenant id and entry.
        now: the current time. Entries that are more than 35 days old are quarantined.
        throttle: the intervals between summaries that the container knows.
        seen: the counter rows that the container knows to exist.

    Returns:
        The errors of entries that are not counted yet and must be delivered again, by event id.
    """
    by_tenant: dict[str, list[LedgerEntry]] = {}
    for tenant_id, entry in entries:
        by_tenant.setdefault(tenant_id, []).append(entry)
    failed: dict[str, Exception] = {}
    for tenant_id, tenant_entries in by_tenant.items():
        failed |= count_of_tenant(store, tenant_id, tenant_entries, now=now, throttle=throttle, seen=seen).failed
    return failed


def count_of_tenant(
    store: Store,
    tenant_id: str,
    entries: Sequence[LedgerEntry],
    *,
    now: datetime,
    throttle: SummaryThrottle | None = None,
    seen: SeenRows | None = None,
) -> CountingResult:
    """Count entries of one tenant. See `count`."""
    counted = ledger.count(store, tenant_id, entries, now=now, seen=seen)
    # Includes duplicates: the delivery that counted them may have ended before it published a summary.
    in_ledger = (CountingOutcome.COUNTED, CountingOutcome.DUPLICATE)
    summarized = (entry for entry in entries if is_summarized(entry.meters))
    months = {f"{entry.hour:%Y-%m}" for entry in summarized if counted.outcomes.get(entry.identity) in in_ledger}
    summaries.summarize(store, tenant_id, months, now=now, throttle=throttle)
    return counted


def change_storage(store: Store, tenant_id: str, changes: Mapping[Delivery, StorageChange], *, now: datetime) -> None:
    """Apply changes of one tenant's storage, each once, and publish the tenant's storage.

    Raises:
        DependencyUnavailable: other writers changed the storage during every attempt, or the table does not respond.
    """
    if storage.change_storage(store, tenant_id, changes, now=now):
        summaries.summarize(store, tenant_id, [f"{now:%Y-%m}"], now=now)


class IngestionStatus(StrEnum):
    """The result of ingesting a reported event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    """The event was counted before."""
    CONFLICT = "conflict"
    """The id exists already with different content; the event is not counted."""
    REJECTED = "rejected"
    """The event is invalid and not counted."""


@dataclass(frozen=True, slots=True)
class IngestionResult:
    """The result of one reported event."""

    status: IngestionStatus
    reason: str | None = None
    grouped_as: str | None = None
    """`other` if the hour has too many combinations of dimensions to show this one separately."""


_RESULTS = {
    CountingOutcome.COUNTED: IngestionResult(IngestionStatus.ACCEPTED),
    CountingOutcome.DUPLICATE: IngestionResult(IngestionStatus.DUPLICATE),
    CountingOutcome.CONFLICT: IngestionResult(IngestionStatus.CONFLICT, "this id was reported with other content"),
    CountingOutcome.TOO_OLD: IngestionResult(IngestionStatus.REJECTED, "it is too old"),
}


_OTHER = "other"


class ThrottledTenants:
    """The tenants that this container refused in the current window, which saves a write to the table."""

    def __init__(self) -> None:
        self._windows: dict[str, int] = {}

    def add(self, tenant_id: str, *, now: datetime) -> None:
        """Remember a tenant until its window ends. Tenants of earlier windows are removed."""
        window = domain.window_of(now)
        self._windows = {throttled: until for throttled, until in self._windows.items() if until >= window}
        self._windows[tenant_id] = window

    def has(self, tenant_id: str, *, now: datetime) -> bool:
        """Return whether a request of this tenant would be refused now."""
        return self._windows.get(tenant_id, -1) >= domain.window_of(now)


def ingest(
    store: Store, tenant_id: str, reports: Sequence[Any], *, now: datetime, throttled: ThrottledTenants | None = None
) -> list[IngestionResult]:
    """Count reported events, each exactly once, and return the results in the same order.

    Args:
        store: the tenant's slice.
        tenant_id: the tenant.
        reports: the events as they were sent.
        now: the current time.
        throttled: the tenants that this container refused.

    Raises:
        ReportingRateExceeded: the tenant exceeded its limit of requests.
        DependencyUnavailable: some events could not be counted now. All can safely be sent again.
    """
    _admit_request(store, tenant_id, throttled or ThrottledTenants(), now=now)
    parsed = [_parse(report, now=now) for report in reports]
    counted = count_of_tenant(store, tenant_id, [item for item in parsed if isinstance(item, LedgerEntry)], now=now)
    for error in counted.failed.values():
        raise error
    seen: set[tuple[str, str]] = set()
    return [_result_of(item, counted, seen) for item in parsed]


def _admit_request(store: Store, tenant_id: str, throttled: ThrottledTenants, *, now: datetime) -> None:
    if not throttled.has(tenant_id, now=now):
        if RateTable(store, tenant_id).admit_request(now=now):
            return
        throttled.add(tenant_id, now=now)
    raise ReportingRateExceeded(domain.window_ends_in_s(now))


def _parse(report: object, *, now: datetime) -> LedgerEntry | IngestionResult:
    try:
        return domain.entry_from_report(report, now=now)
    except InvalidUsageEvent as error:
        return IngestionResult(IngestionStatus.REJECTED, str(error))


def _result_of(
    parsed: LedgerEntry | IngestionResult, counted: CountingResult, seen: set[tuple[str, str]]
) -> IngestionResult:
    if isinstance(parsed, IngestionResult):
        return parsed
    result = _RESULTS[counted.outcomes[parsed.identity]]
    # An event that occurs twice in one request is counted once.
    is_repeated = result.status is IngestionStatus.ACCEPTED and parsed.identity in seen
    seen.add(parsed.identity)
    if is_repeated:
        return _RESULTS[CountingOutcome.DUPLICATE]
    return replace(result, grouped_as=_OTHER) if parsed.identity in counted.in_other else result
