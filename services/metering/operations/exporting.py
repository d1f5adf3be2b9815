"""Exports of the ledger as operators ask for them: begun once, and asked for again until they are there."""

from collections.abc import Callable
from datetime import datetime

from services.metering.domain.export import MOST_EVENTS, Asked, Export, ExportStatus
from services.metering.errors import ExportBrokeOff, ExportTooLarge
from services.metering.gateways.queue import ExportQueue
from services.metering.table import exports
from shared.deadline import bounded_s
from shared.errors import DependencyUnavailable
from shared.storage.store import Store

_PATIENCE_S, _PAUSE_S = 15.0, 0.5
"""The gateway waits for 29 s, and a table that is slow takes its time too."""


def ask(
    store: Store,
    queue: ExportQueue,
    asked: Asked,
    *,
    now: datetime,
    sleep: Callable[[float], None],
    monotonic: Callable[[], float],
) -> Export:
    """The export, completed or still running.

    Raises:
        ExportTooLarge: there are too many events.
        ExportBrokeOff: it has to be asked for again.
        DependencyUnavailable: it cannot be begun now.
    """
    deadline = monotonic() + bounded_s(_PATIENCE_S)
    if begun := exports.start(store, asked, now=now):
        _hand_over(store, queue, begun)
    found = _look(store, asked)
    while found.status is ExportStatus.RUNNING and monotonic() < deadline:
        sleep(_PAUSE_S)
        found = _look(store, asked)
    if found.status is ExportStatus.TOO_LARGE:
        raise ExportTooLarge(MOST_EVENTS)
    if found.status is ExportStatus.FAILED:
        raise ExportBrokeOff
    return found


def _hand_over(store: Store, queue: ExportQueue, export: Export) -> None:
    try:
        queue.put(export)
    except DependencyUnavailable:
        exports.finish(store, export, status=ExportStatus.FAILED)
        raise


def _look(store: Store, asked: Asked) -> Export:
    """What is known of it; it was begun, by this call or another."""
    found = exports.read(store, asked)
    if found is None:
        raise ExportBrokeOff
    return found
