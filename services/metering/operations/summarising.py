"""Telling how much a tenant has used in a month so far, and when that comes near a limit."""

from collections.abc import Iterable
from datetime import date, datetime

from services.metering.domain import periods, summary
from services.metering.domain.summary import Summary
from services.metering.operations import reading
from services.metering.table import SLICE, storage, summaries
from services.metering.table.summaries import Published
from shared.copies.tenant_access import access_from_item, access_key
from shared.errors import DependencyUnavailable
from shared.observability import logger
from shared.storage.due import DueEntry
from shared.storage.store import Store
from shared.tenancy.context import Allowance


class Pauses:
    """The pauses that this container knows of: until they are over, the table need not be asked."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], datetime] = {}

    def keep(self, tenant_id: str, month: str, *, until: datetime, now: datetime) -> None:
        """Nobody has the turn until then. What is over is forgotten."""
        self._until = {named: end for named, end in self._until.items() if end > now}
        self._until[tenant_id, month] = until

    def hold(self, tenant_id: str, month: str, *, now: datetime) -> bool:
        """Whether the turn would certainly be refused now."""
        until = self._until.get((tenant_id, month))
        return until is not None and now < until


def summarise(
    store: Store, tenant_id: str, months: Iterable[str], *, now: datetime, pauses: Pauses | None = None
) -> None:
    """Say what was used in these months, at most every 10 s; what comes in the pause is said after it.

    A failure is no reason to count something again: the next usage, or the closing of its hour, leads here too.
    """
    known = pauses or Pauses()
    for month in sorted(set(months)):
        try:
            if not known.hold(tenant_id, month, now=now):
                _summarise(store, tenant_id, month, now=now, pauses=known)
        except DependencyUnavailable as error:
            logger.warning("not summarised", tenant_id=tenant_id, month=month, error=str(error))


def catch_up(store: Store, tenant_id: str, month: str, *, now: datetime) -> None:
    """Publish the month so far if an earlier summary was lost. Within a pause nothing is done: it is looked at anyway.

    An outage is no reason to close an hour again: the next usage leads here too.
    """
    try:
        published = summaries.read(store, tenant_id, month)
        is_paused = published is not None and published.next_at is not None and now < published.next_at
        if is_paused or (published and _is_complete(store, tenant_id, published)):
            return
        _summarise(store, tenant_id, month, now=now, pauses=Pauses())
    except DependencyUnavailable as error:
        logger.warning("not summarised", tenant_id=tenant_id, month=month, error=str(error))


def _is_complete(store: Store, tenant_id: str, published: Published) -> bool:
    found = _so_far(store, tenant_id, published.month)
    allowance = _allowance_of(store, tenant_id)
    reached = summary.thresholds_reached(found, allowance, said=published.thresholds) if allowance else []
    return found == published.last and not reached


def look_again(store: Store, tenant_id: str, month: str, *, now: datetime) -> None:
    """Say what was counted in a pause that is over.

    The pause is ended first, and the month is read then: what is counted in between is either in what is read here, or
    its consumer gets the turn.

    Raises:
        DependencyUnavailable: it is not said yet.
    """
    last = summaries.end_pause(store, tenant_id, month, now=now)
    if last is not None and last != _so_far(store, tenant_id, month):
        _summarise(store, tenant_id, month, now=now, pauses=Pauses())


def month_of_entry(entry: DueEntry) -> str:
    """Return the month whose summary is due."""
    return summaries.month_at(entry.key.sk)


def _summarise(store: Store, tenant_id: str, month: str, *, now: datetime, pauses: Pauses) -> None:
    turn = summaries.take_turn(store, tenant_id, month, now=now)
    if isinstance(turn, datetime):
        pauses.keep(tenant_id, month, until=turn, now=now)
        return
    pauses.keep(tenant_id, month, until=now + summaries.PAUSE, now=now)
    found = _so_far(store, tenant_id, month)
    allowance = _allowance_of(store, tenant_id)
    reached = summary.thresholds_reached(found, allowance, said=turn.thresholds) if allowance else []
    # Where there is nothing to say, what is counted in the pause is said by the clock.
    if found != turn.last or reached:
        events = summary.news(tenant_id, month, found, reached, seq=turn.seq, at=now)
        summaries.say(store, tenant_id, turn, found, thresholds=reached, events=events)


def _so_far(store: Store, tenant_id: str, month: str) -> Summary:
    days = periods.month_of(date.fromisoformat(f"{month}-01"))
    amounts = reading.month_so_far(store, tenant_id, days)
    return summary.summary_of(amounts, storage_bytes=storage.read(store, tenant_id).bytes_now)


def _allowance_of(store: Store, tenant_id: str) -> Allowance | None:
    """None: the tenant is not known here yet, so its limits are not either."""
    item = store.get(access_key(SLICE, tenant_id))
    return access_from_item(tenant_id, item).allowance if item else None
