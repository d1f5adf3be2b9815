"""Requests of exports: the first request starts the export, and further ones poll it."""

from collections.abc import Callable
from datetime import datetime

from services.metering.errors import ExportInterrupted, ExportTooLarge
from services.metering.exports.domain import MAX_EVENTS, ExportRequest, ExportStatus, LedgerExport
from services.metering.exports.gateway.queue import ExportQueue
from services.metering.exports.table import UsageExportTable
from shared.deadline import bounded_s
from shared.errors import DependencyUnavailable
from shared.storage.store import Store

_MAX_WAIT_S, _POLL_INTERVAL_S = 15.0, 0.5
"""The gateway times out after 29 s, and a slow table takes some of that time."""


def request_export(
    store: Store,
    queue: ExportQueue,
    request: ExportRequest,
    *,
    now: datetime,
    sleep: Callable[[float], None],
    monotonic: Callable[[], float],
) -> LedgerExport:
    """Start the export, or find the one that was started, and wait up to 15 s for it to complete.

    Returns:
        The export, completed or still running.

    Raises:
        ExportTooLarge: the range contains too many events.
        ExportInterrupted: the export was interrupted; request it again.
        DependencyUnavailable: the export cannot be started now.
    """
    deadline = monotonic() + bounded_s(_MAX_WAIT_S)
    if started := UsageExportTable(store).start(request, now=now):
        _enqueue(store, queue, started)
    export = _read_export(store, request)
    while export.status is ExportStatus.RUNNING and monotonic() < deadline:
        sleep(_POLL_INTERVAL_S)
        export = _read_export(store, request)
    if export.status is ExportStatus.TOO_LARGE:
        raise ExportTooLarge(MAX_EVENTS)
    if export.status is ExportStatus.FAILED:
        raise ExportInterrupted
    return export


def _enqueue(store: Store, queue: ExportQueue, export: LedgerExport) -> None:
    try:
        queue.put(export)
    except DependencyUnavailable:
        UsageExportTable(store).finish(export, status=ExportStatus.FAILED)
        raise


def _read_export(store: Store, request: ExportRequest) -> LedgerExport:
    """Read the state of an export that this request or another one started."""
    export = UsageExportTable(store).find_request(request)
    if export is None:
        raise ExportInterrupted
    return export
