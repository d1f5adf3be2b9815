"""Writing exports: entries are streamed, so that few of them are in memory at a time."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from services.metering.archive.operations import read_archive
from services.metering.archive.table import ArchiveTable
from services.metering.counters.domain.days import Days
from services.metering.counters.table.tenants import UsageOfAllTenants
from services.metering.errors import ExportTooLarge
from services.metering.exports.domain import (
    MAX_EVENTS,
    ExportFormat,
    ExportRequest,
    ExportStatus,
    Record,
    csv_lines,
    json_lines,
)
from services.metering.exports.gateway.bucket import ExportBucket
from services.metering.exports.gateway.parquet import parquet_of
from services.metering.exports.table import UsageExportTable
from services.metering.ledger.table.entries import LedgerTable
from shared.errors import DependencyUnavailable
from shared.observability import logger
from shared.storage.objects import Archives
from shared.storage.store import Store


def write_export(
    store: Store,
    archives: Archives,
    bucket: ExportBucket,
    request: ExportRequest,
    *,
    attempt: int,
    max_events: int = MAX_EVENTS,
) -> None:
    """Write an export, unless another attempt has started. The next request starts an interrupted export again."""
    exports = UsageExportTable(store)
    export = exports.find_request(request)
    if export is None or (export.attempt, export.status) != (attempt, ExportStatus.RUNNING):
        return
    records = _LimitedRecords(_records(store, archives, request), max_records=max_events)
    try:
        size = bucket.write(export.path, _pieces(records, request.format))
    except ExportTooLarge:
        exports.finish(export, status=ExportStatus.TOO_LARGE)
    except DependencyUnavailable as error:
        logger.warning("export broke off", export_id=request.export_id, error=str(error))
        exports.finish(export, status=ExportStatus.FAILED)
    else:
        exports.finish(export, status=ExportStatus.COMPLETED, events=records.number, size=size)
        logger.info("exported", export_id=request.export_id, events=records.number, bytes=size)


class _LimitedRecords:
    """Records that are counted as they pass.

    Raises:
        ExportTooLarge: the number of records exceeds the limit.
    """

    def __init__(self, records: Iterator[Record], *, max_records: int) -> None:
        self._records = records
        self._max_records = max_records
        self.number = 0

    def __iter__(self) -> Iterator[Record]:
        for record in self._records:
            self.number += 1
            if self.number > self._max_records:
                raise ExportTooLarge(self._max_records)
            yield record


def _pieces(records: Iterable[Record], format_: ExportFormat) -> Iterator[bytes]:
    match format_:
        case ExportFormat.CSV:
            return csv_lines(records)
        case ExportFormat.JSONL:
            return json_lines(records)
        case ExportFormat.PARQUET:
            return parquet_of(json_lines(records))


def _records(store: Store, archives: Archives, request: ExportRequest) -> Iterator[Record]:
    """Yield the records by tenant, newest first."""
    for tenant_id in _tenants(store, request):
        archived, ledger = ArchiveTable(store, tenant_id).archived_counts(request.days), LedgerTable(store, tenant_id)
        for days in _spans(request.days, archived):
            if days.start in archived:
                yield from read_archive(archives, tenant_id, days.start, events=archived[days.start])
                continue
            yield from map(ledger.record, ledger.between(start=days.starts_at, end=days.ends_at))


def _tenants(store: Store, request: ExportRequest) -> list[str]:
    if request.tenant_id is not None:
        return [request.tenant_id]
    return sorted(UsageOfAllTenants(store).tenants_during(request.days))


def _spans(days: Days, archived: Iterable[date]) -> Iterator[Days]:
    """Yield the days, newest first: each archived day separately, and the days between them together."""
    end = days.end
    for day in sorted(archived, reverse=True):
        after = day + timedelta(days=1)
        if after < end:
            yield Days(after, end)
        yield Days(day, after)
        end = day
    if days.start < end:
        yield Days(days.start, end)
