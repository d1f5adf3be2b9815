"""Counting what a tenant reports."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.metering.domain import ingestion
from services.metering.domain.counting import Outcome
from services.metering.domain.usage import Entry
from services.metering.errors import NotTaken, ReportsTooOften
from services.metering.operations import counting
from services.metering.operations.counting import Counted
from services.metering.table import rates
from shared.storage.store import Store


class Answer(StrEnum):
    """What became of a report."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    """It was counted before."""
    CONFLICT = "conflict"
    """Its id is taken by other content; it is not counted."""
    REJECTED = "rejected"
    """It cannot be counted as it is."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """The answer to one report."""

    answer: Answer
    reason: str | None = None
    grouped_as: str | None = None
    """`other` where the hour has too many different dimensions to show these by themselves."""


_ANSWERS = {
    Outcome.COUNTED: Ingested(Answer.ACCEPTED),
    Outcome.DUPLICATE: Ingested(Answer.DUPLICATE),
    Outcome.CONFLICT: Ingested(Answer.CONFLICT, "this id was reported with other content"),
    Outcome.TOO_OLD: Ingested(Answer.REJECTED, "it is too old"),
}


_OTHER = "other"


class RefusedTenants:
    """The tenants that this container knows to have used up their share: until then the table need not be asked."""

    def __init__(self) -> None:
        self._windows: dict[str, int] = {}

    def add(self, tenant_id: str, *, now: datetime) -> None:
        """Remember a tenant until its window is over; those of earlier windows are forgotten."""
        window = ingestion.window_of(now)
        self._windows = {refused: until for refused, until in self._windows.items() if until >= window}
        self._windows[tenant_id] = window

    def has(self, tenant_id: str, *, now: datetime) -> bool:
        """Return whether a request would be refused now."""
        return self._windows.get(tenant_id, -1) >= ingestion.window_of(now)


def ingest(
    store: Store, tenant_id: str, reports: Sequence[Any], *, now: datetime, refused: RefusedTenants | None = None
) -> list[Ingested]:
    """Count reports, each exactly once; the answers are in the same order.

    Args:
        store: the tenant's slice.
        tenant_id: whose usage.
        reports: as they were sent.
        now: the time.
        refused: the tenants that this container has refused.

    Raises:
        ReportsTooOften: the tenant has used up its share of requests.
        DependencyUnavailable: some could not be counted now; all can be sent again.
    """
    _take_request(store, tenant_id, refused or RefusedTenants(), now=now)
    read = [_read(report, now=now) for report in reports]
    counted = counting.count_of_tenant(store, tenant_id, [one for one in read if isinstance(one, Entry)], now=now)
    for error in counted.failed.values():
        raise error
    seen: set[tuple[str, str]] = set()
    return [_answer(one, counted, seen) for one in read]


def _take_request(store: Store, tenant_id: str, refused: RefusedTenants, *, now: datetime) -> None:
    if not refused.has(tenant_id, now=now):
        if rates.take_request(store, tenant_id, now=now):
            return
        refused.add(tenant_id, now=now)
    raise ReportsTooOften(ingestion.window_ends_in_s(now))


def _read(report: object, *, now: datetime) -> Entry | Ingested:
    try:
        return ingestion.entry_of_report(report, now=now)
    except NotTaken as error:
        return Ingested(Answer.REJECTED, str(error))


def _answer(read: Entry | Ingested, counted: Counted, seen: set[tuple[str, str]]) -> Ingested:
    if isinstance(read, Ingested):
        return read
    answer = _ANSWERS[counted.outcomes[read.identity]]
    # The same report twice in one call was counted once.
    again = answer.answer is Answer.ACCEPTED and read.identity in seen
    seen.add(read.identity)
    if again:
        return _ANSWERS[Outcome.DUPLICATE]
    return replace(answer, grouped_as=_OTHER) if read.identity in counted.in_other else answer
