"""Published summaries of each month, and the lease that limits how often they are published."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.metering.partitions import SLICE
from services.metering.summaries.domain import SUMMARY_INTERVAL_S, Summary, Threshold
from shared.events.envelope import Event
from shared.storage.codec import Codec
from shared.storage.due import DueIndex
from shared.storage.store import Unchanged
from shared.storage.table import TenantTable, adding
from shared.storage.transaction import Expression
from shared.times import from_text, to_text

INTERVAL = timedelta(seconds=SUMMARY_INTERVAL_S)

DUE = DueIndex(SLICE, "SUMMARY")
"""By the end of the interval after a summary."""


@dataclass(frozen=True, slots=True)
class PublishedSummary:
    """The last published summary of a month."""

    month: str
    seq: int
    """The number of leases for publishing a summary. The holder of the last one may publish the next summary."""
    summary: Summary
    thresholds: tuple[str, ...] = ()
    """The names of the thresholds that were published."""
    next_at: datetime | None = None
    """The end of the interval after it."""


class SummaryTable(TenantTable[PublishedSummary]):
    """The published summaries of one tenant."""

    prefix, id_field = "SUMMARY#", "month"
    codec = Codec(PublishedSummary, flat={"summary": ""}, given=("month",))

    def acquire_lease(self, month: str, *, now: datetime) -> PublishedSummary | datetime:
        """Acquire the lease for the next summary, which also schedules a check of the month at the end of the interval.

        The check is scheduled before the summary is published, so that it happens even if the holder of the lease
        fails.

        Returns:
            The last summary, with the number of the lease; or the end of the interval in which it is not available.
        """
        next_at = now + INTERVAL
        scheduled = {**self.codec.values(next_at=next_at), **DUE.place(next_at, self.tenant_id, month)}
        is_available = Expression("attribute_not_exists(#next_at) OR #next_at <= :now", {"now": to_text(now)})
        item = self.store.update_or_see(self.key(month), adding({"seq": 1}, scheduled), when=is_available)
        if isinstance(item, Unchanged):
            # The interval is all that is needed of the existing item.
            return from_text(str((item.existing or {})["next_at"]))
        return self.decode(item)

    def publish(
        self,
        last: PublishedSummary,
        summary: Summary,
        *,
        thresholds: Sequence[Threshold],
        events: Sequence[Event[Any]],
    ) -> None:
        """Publish a summary, unless another process has acquired the lease since `last`."""
        transaction = self.transaction()
        reached = (*last.thresholds, *(threshold.name for threshold in thresholds))
        change = self.setting(summary=summary, thresholds=reached)
        transaction.update(self.key(last.month), change, when=self.has_revision(last.seq))
        transaction.emit(*events)
        self.store.try_commit(transaction)

    def release_lease(self, month: str, *, now: datetime) -> Summary | None:
        """Release the lease if its interval has ended, and remove the scheduled check.

        The next consumer that counts usage acquires the lease.

        Returns:
            The last published summary; None if a new interval has started, which schedules its own check.
        """
        has_ended = Expression(
            "attribute_exists(#seq) AND (attribute_not_exists(#next_at) OR #next_at <= :now)", {"now": to_text(now)}
        )
        released = self.update(month, Expression("REMOVE #next_at, #due_pk, #due_sk"), when=has_ended)
        return released.summary if released else None
