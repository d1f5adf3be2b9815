"""Closing hours: their usage becomes final, is rolled up into day and month, and is published."""

from datetime import datetime

from services.metering.counters.domain.hours import HOUR, Revision
from services.metering.counters.domain.rollup import RollUp
from services.metering.counters.table import revisions
from services.metering.counters.table.revisions import OpenRevisionTable, RolledUpElsewhere
from services.metering.counters.table.rollups import RollUpTable, RowsAdded
from services.metering.counters.table.rows import HourTable
from services.metering.errors import HoursClosing
from services.metering.hours import domain
from services.metering.storage import operations as storage
from services.metering.summaries import operations as summaries
from shared.deadline import remaining_s
from shared.events.envelope import Event
from shared.events.runs import TenantRunsStopped
from shared.storage.due import DueEntry, DueQueue
from shared.storage.retry import retry_on_conflict
from shared.storage.store import Store

MAX_BATCHES_PER_TURN = 100
"""The limit of transactions before an hour with many rows is left to the next sweep, so that it does not delay
others."""

_MAX_ATTEMPTS = 10


def close_due_entry(store: Store, entry: DueEntry, *, now: datetime) -> bool:
    """Close the due revision and return whether it is done. One with many rows returns to the end of its queue."""
    revision = OpenRevisionTable(store, entry.tenant_id).revision_in(entry.key.sk)
    is_closed = close(store, entry.tenant_id, revision, now=now)
    if not is_closed:
        DueQueue(store, revisions.DUE).postpone(entry, at=now)
    return is_closed


def close(store: Store, tenant_id: str, revision: Revision, *, now: datetime) -> bool:
    """Close a revision and roll it up. An interrupted roll-up continues where it stopped and adds nothing twice.

    Rows are read and added page by page, so memory does not grow with their number.

    Returns:
        False if time or batches were used up before the last row was added. Call it again.

    Raises:
        HoursClosing: other hours of the same day or month were rolled up during every attempt.
        DependencyUnavailable: the table does not respond.
    """
    HourTable(store, tenant_id).close(revision)
    try:
        is_closed = retry_on_conflict(
            lambda: _roll_up(store, tenant_id, revision, now=now), on=RowsAdded, max_attempts=_MAX_ATTEMPTS
        )
    except RolledUpElsewhere:
        return True
    except RowsAdded as error:
        raise HoursClosing from error
    if is_closed:
        summaries.publish_missed(store, tenant_id, f"{revision.hour:%Y-%m}", now=now)
    return is_closed


def _roll_up(store: Store, tenant_id: str, revision: Revision, *, now: datetime) -> bool:
    """Add the remaining rows of a closed revision to its day and month, and return whether it is complete."""
    open_revision = OpenRevisionTable(store, tenant_id).find_revision(revision)
    if open_revision is None:
        return True
    hours, roll_ups = HourTable(store, tenant_id), RollUpTable(store, tenant_id)
    total = hours.read_totals([revision])[revision]
    roll_up = roll_ups.read_roll_up(revision) if total.events else RollUp.empty()
    rows = hours.rows_after(revision, position=open_revision.rolled_up)
    batches = roll_up.batches((row.position, row.dimensions, row.amounts) for row in rows)
    batch = next(batches)
    for number, following in enumerate(batches, 1):
        open_revision = roll_ups.add_batch(open_revision, batch)
        batch = following
        if number == MAX_BATCHES_PER_TURN or remaining_s() <= 0:
            return False
    events = domain.revision_events(tenant_id, revision, total, at=now)
    roll_ups.finish(open_revision, batch, total=total, events=events, now=now)
    return True


def _close_completely(store: Store, tenant_id: str, revision: Revision, *, now: datetime) -> None:
    """Close a revision completely.

    Raises:
        HoursClosing: the time was not sufficient. Completed batches stay.
    """
    while not close(store, tenant_id, revision, now=now):
        if remaining_s() <= 0:
            raise HoursClosing


def close_early(store: Store, tenant_id: str, *, running: bool, now: datetime) -> int:
    """Close the open revisions of a tenant before they are due, and return their number. Later usage is a correction.

    Args:
        store: the slice.
        tenant_id: the tenant.
        running: whether to close the current hour, which has not ended, as well.
        now: the current time.
    """
    storage.sample_storage(store, tenant_id, now=now)
    opened = [state.revision for state in OpenRevisionTable(store, tenant_id).all()]
    chosen = [revision for revision in opened if running or revision.hour + HOUR <= now]
    for revision in chosen:
        _close_completely(store, tenant_id, revision, now=now)
    return len(chosen)


def close_tenant(store: Store, event: Event[TenantRunsStopped], *, now: datetime) -> None:
    """Close all open revisions of a tenant that is being deleted, and publish that they are closed.

    Storage is counted until the end of the last whole hour.

    Raises:
        HoursClosing: usage arrived meanwhile, or another process is closing the same revisions.
        DependencyUnavailable: the table does not respond.
    """
    storage.sample_storage(store, event.tenant_id, now=now)
    opened = OpenRevisionTable(store, event.tenant_id)
    for state in list(opened.all()):
        _close_completely(store, event.tenant_id, state.revision, now=now)
    if any(opened.all()):
        raise HoursClosing
    RollUpTable(store, event.tenant_id).publish(domain.tenant_closed_event(event))
