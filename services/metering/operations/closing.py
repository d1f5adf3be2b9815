"""Closing hours: after it an hour's usage is final, rolled up into its day and month, and announced."""

from datetime import datetime

from services.metering.domain import closing
from services.metering.domain.hours import HOUR, Revision
from services.metering.domain.rollup import RollUp
from services.metering.errors import BusyClosing
from services.metering.operations import storing, summarising
from services.metering.table import counters, rollups
from services.metering.table.counters import RolledUpElsewhere
from services.metering.table.rollups import RowsAdded
from services.metering.table.rows import rows_after
from shared.deadline import remaining_s
from shared.events.envelope import Event
from shared.events.runs import TenantRunsStopped
from shared.storage.due import DueEntry, DueQueue
from shared.storage.store import Store

BATCHES_AT_ONCE = 100
"""Transactions after which an hour with many rows is left to the next sweep, so that it delays no other for long."""

_MAX_TRIES = 10


def close_entry(store: Store, entry: DueEntry, *, now: datetime) -> bool:
    """Close the revision that is due; return whether it is done. One with many rows goes to the end of its queue."""
    is_closed = close(store, entry.tenant_id, counters.revision_at(entry.key.sk), now=now)
    if not is_closed:
        DueQueue(store, entry.kind).put_back(entry, at=now)
    return is_closed


def close(store: Store, tenant_id: str, revision: Revision, *, now: datetime) -> bool:
    """Close a revision and roll it up; what breaks off is taken up where it was left, and nothing is added twice.

    Its rows are read and added a page at a time, so memory does not grow with their number.

    Returns:
        False when time or batches were used up before its last row was added; call it again.

    Raises:
        BusyClosing: other hours of the same day or month were rolled up at the same time, again and again.
        DependencyUnavailable: the table does not answer.
    """
    counters.close_revision(store, tenant_id, revision)
    for _ in range(_MAX_TRIES):
        try:
            is_closed = _roll_up(store, tenant_id, revision, now=now)
        except RolledUpElsewhere:
            return True
        except RowsAdded:
            continue
        if is_closed:
            summarising.catch_up(store, tenant_id, f"{revision.hour:%Y-%m}", now=now)
        return is_closed
    raise BusyClosing


def _roll_up(store: Store, tenant_id: str, revision: Revision, *, now: datetime) -> bool:
    """Add what is left of a closed revision to its day and month; return whether that is all of it."""
    opened = counters.read_opened(store, tenant_id, revision)
    if opened is None:
        return True
    total = counters.read_totals(store, tenant_id, [revision])[revision]
    roll_up = rollups.read_roll_up(store, tenant_id, revision) if total.events else RollUp.empty()
    rows = rows_after(store, tenant_id, revision, place=opened.rolled_up)
    batches = roll_up.batches((row.place, row.dimensions, row.amounts) for row in rows)
    batch = next(batches)
    for number, following in enumerate(batches, 1):
        opened = rollups.add_batch(store, tenant_id, opened, batch)
        batch = following
        if number == BATCHES_AT_ONCE or remaining_s() <= 0:
            return False
    events = closing.announcement(tenant_id, revision, total, at=now)
    rollups.finish(store, tenant_id, opened, batch, total=total, events=events, now=now)
    return True


def _close_whole(store: Store, tenant_id: str, revision: Revision, *, now: datetime) -> None:
    """Close a revision to its last row.

    Raises:
        BusyClosing: there was not enough time; what was done stays done.
    """
    while not close(store, tenant_id, revision, now=now):
        if remaining_s() <= 0:
            raise BusyClosing


def close_early(store: Store, tenant_id: str, *, running: bool, now: datetime) -> int:
    """Close what is open of a tenant before it is due; says how much. What comes later is a correction.

    Args:
        store: the slice.
        tenant_id: whose.
        running: also the hour that has not ended.
        now: the time.
    """
    storing.sample(store, tenant_id, now=now)
    opened = [one.revision for one in counters.list_opened(store, tenant_id)]
    chosen = [revision for revision in opened if running or revision.hour + HOUR <= now]
    for revision in chosen:
        _close_whole(store, tenant_id, revision, now=now)
    return len(chosen)


def close_tenant(store: Store, event: Event[TenantRunsStopped], *, now: datetime) -> None:
    """Close at once whatever is open of a tenant that is being deleted, and say so.

    What it stores is counted to the end of the last whole hour.

    Raises:
        BusyClosing: usage came meanwhile, or somebody else closes the same.
        DependencyUnavailable: the table does not answer.
    """
    storing.sample(store, event.tenant_id, now=now)
    for opened in counters.list_opened(store, event.tenant_id):
        _close_whole(store, event.tenant_id, opened.revision, now=now)
    if counters.list_opened(store, event.tenant_id):
        raise BusyClosing
    rollups.say(store, event.tenant_id, closing.announcement_of_tenant(event))
