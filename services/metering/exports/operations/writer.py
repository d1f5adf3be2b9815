"""Writing exports: as many entries as there are pass through, a few at a time."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from services.metering.domain.export import (
    MOST_EVENTS,
    Asked,
    ExportFormat,
    ExportStatus,
    Record,
    csv_lines,
    json_lines,
)
from services.metering.domain.periods import Days
from services.metering.errors import ExportTooLarge
from services.metering.gateways.bucket import ExportBucket
from services.metering.gateways.parquet import parquet_of
from services.metering.operations.archiving import read_archive
from services.metering.table import counters, exports, ledger, rollups
from shared.errors import DependencyUnavailable
from shared.observability import logger
from shared.storage.objects import Archives
from shared.storage.store import Store


def write(
    store: Store,
    archives: Archives,
    bucket: ExportBucket,
    asked: Asked,
    *,
    attempt: int,
    most: int = MOST_EVENTS,
) -> None:
    """Write an export, unless another attempt at it has begun; what breaks off is begun anew when it is asked for."""
    export = exports.read(store, asked)
    if export is None or (export.attempt, export.status) != (attempt, ExportStatus.RUNNING):
        return
    counted = _Counted(_records(store, archives, asked), most=most)
    try:
        size = bucket.write(export.path, _pieces(counted, asked.format))
    except ExportTooLarge:
        exports.finish(store, export, status=ExportStatus.TOO_LARGE)
    except DependencyUnavailable as error:
        logger.warning("export broke off", export_id=asked.export_id, error=str(error))
        exports.finish(store, export, status=ExportStatus.FAILED)
    else:
        exports.finish(store, export, status=ExportStatus.COMPLETED, events=counted.number, size=size)
        logger.info("exported", export_id=asked.export_id, events=counted.number, bytes=size)


class _Counted:
    """Records that are counted as they pass.

    Raises:
        ExportTooLarge: when it is one too many.
    """

    def __init__(self, records: Iterator[Record], *, most: int) -> None:
        self._records = records
        self._most = most
        self.number = 0

    def __iter__(self) -> Iterator[Record]:
        for record in self._records:
            self.number += 1
            if self.number > self._most:
                raise ExportTooLarge(self._most)
            yield record


def _pieces(records: Iterable[Record], format_: ExportFormat) -> Iterator[bytes]:
    match format_:
        case ExportFormat.CSV:
            return csv_lines(records)
        case ExportFormat.JSONL:
            return json_lines(records)
        case ExportFormat.PARQUET:
            return parquet_of(json_lines(records))


def _records(store: Store, archives: Archives, asked: Asked) -> Iterator[Record]:
    """By tenant, the newest first."""
    for tenant_id in _tenants(store, asked):
        archived = rollups.read_archived(store, tenant_id, asked.days)
        for days in _spans(asked.days, archived):
            if days.start in archived:
                yield from read_archive(archives, tenant_id, days.start, events=archived[days.start])
                continue
            for entry in ledger.entries_between(store, tenant_id, start=days.starts_at, end=days.ends_at):
                yield ledger.content_of(tenant_id, entry)


def _tenants(store: Store, asked: Asked) -> list[str]:
    if asked.tenant_id is not None:
        return [asked.tenant_id]
    return sorted(rollups.list_tenants(store, asked.days) | counters.list_tenants(store))


def _spans(days: Days, archived: Iterable[date]) -> Iterator[Days]:
    """The days, newest first: those that are archived one by one, those between them together."""
    end = days.end
    for day in sorted(archived, reverse=True):
        after = day + timedelta(days=1)
        if after < end:
            yield Days(after, end)
        yield Days(day, after)
        end = day
    if days.start < end:
        yield Days(days.start, end)
