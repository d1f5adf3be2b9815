"""Sending of meter events from the sync ledger to Stripe.

An entry is marked as sent before the request and as accepted after it. If Stripe certainly did not process the request,
the mark is reverted. If that is unknown, the entry stays sent, and its identifier can be sent again for 20 h.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.billing.customers.domain.customer import Customer
from services.billing.customers.domain.subscription import Subscription
from services.billing.errors import (
    EntryChanged,
    NotEnoughTime,
    PaymentsUnavailable,
    RejectedByStripe,
    RequestNotExecuted,
    UsageNotAccepted,
)
from services.billing.usage_sync import domain as rules
from services.billing.usage_sync.domain import HOUR, EntryState, SearchResult, SyncEntry
from services.billing.usage_sync.gateway import MeterEventGateway
from services.billing.usage_sync.table.entries import SyncLedger
from shared.deadline import remaining_s
from shared.metrics import DRIFT
from shared.observability import logger, report
from shared.storage.store import Store

RETRY_DELAY = timedelta(minutes=1)
_UNCLEAR_RETRY_DELAY = timedelta(hours=6)
_MIN_REMAINING_S = 2
"""Seconds that must remain before another entry is sent."""


def send_all(
    store: Store,
    gateway: MeterEventGateway,
    customer: Customer,
    entries: Iterable[SyncEntry],
    *,
    now: datetime,
    reserved_s: int = _MIN_REMAINING_S,
) -> set[str]:
    """Send entries one after the other; return the reasons for those that were not sent. They stay due.

    A rejected entry does not stop the others, but an outage does.

    Args:
        store: the slice.
        gateway: the Stripe gateway.
        customer: the customer whose usage is sent.
        entries: the entries of the sync ledger.
        now: the time.
        reserved_s: the seconds of the invocation to reserve for other work.
    """
    reasons = set[str]()
    for entry in entries:
        try:
            if remaining_s() <= reserved_s:
                raise NotEnoughTime
            send_entry(store, gateway, customer, entry, now=now)
        except EntryChanged:
            logger.info("entry is sent by another function", identifier=entry.identifier)
        except (UsageNotAccepted, RejectedByStripe) as error:
            logger.warning("usage not accepted by Stripe", identifier=entry.identifier, reason=str(error))
            reasons.add(str(error))
        except PaymentsUnavailable as error:
            logger.warning("usage not sent", identifier=entry.identifier, reason=str(error))
            reasons.add(str(error))
            break
    return reasons


def send_entry(
    store: Store, gateway: MeterEventGateway, customer: Customer, entry: SyncEntry, *, now: datetime
) -> None:
    """Send one entry, unless Stripe's sum shows that it has arrived.

    Raises:
        EntryChanged: another function is sending the entry.
        PaymentsUnavailable: Stripe does not accept the entry now.
        UsageNotAccepted: Stripe rejects the entry for a reason that may pass.
        RejectedByStripe: Stripe does not return its sum.
    """
    if customer.stripe_customer_id is None or customer.subscription is None:
        msg = "The tenant has no subscription at Stripe."
        raise UsageNotAccepted(msg)
    _Sender(store, gateway, customer.stripe_customer_id, customer.subscription, now).send(entry)


@dataclass(frozen=True, slots=True)
class _Sender:
    """The sending of one entry. It is checked, then marked as sent, sent, and marked with the result."""

    store: Store
    gateway: MeterEventGateway
    customer_id: str
    subscription: Subscription
    now: datetime

    def send(self, entry: SyncEntry) -> None:
        """Check and send an entry. See `send_entry`."""
        due_at = entry.due_at or self.now + RETRY_DELAY
        ready = self._prepare(entry, due_at=due_at)
        if ready is not None:
            self._attempt(ready, due_at=due_at)

    def _prepare(self, entry: SyncEntry, *, due_at: datetime) -> SyncEntry | None:
        """Return the entry to send, in the period that still accepts it, or None if it must not be sent now."""
        unsent: SyncEntry | None = entry
        if not rules.can_be_sent_unchecked(entry, now=self.now):
            unsent = self._search_in_sum(entry, due_at=due_at)
        if unsent is None:
            return None
        if unsent.state is EntryState.PENDING and rules.is_too_late(unsent.timestamp, self.subscription, now=self.now):
            carried = rules.carry_to_current_hour(unsent, self.subscription, now=self.now)
            return self._write(unsent, carried, due_at=due_at)
        return unsent

    def _attempt(self, entry: SyncEntry, *, due_at: datetime) -> None:
        """Send an entry once, and record the result. Without a response, the entry stays marked as sent."""
        sent = self._write(entry, rules.mark_sent(entry, now=self.now), due_at=due_at)
        try:
            self.gateway.send(self.customer_id, sent)
        except RejectedByStripe as rejection:
            logger.error("Stripe refuses usage", identifier=entry.identifier, reason=str(rejection))
            report("drift", {DRIFT: 1}, tenant_id=entry.tenant_id, identifier=entry.identifier)
            self._write(sent, rules.mark_rejected(sent, reason=str(rejection)), due_at=None)
        except (RequestNotExecuted, UsageNotAccepted) as error:
            reverted = rules.revert_attempt(entry, attempts=sent.attempts, reason=str(error))
            self._write(sent, reverted, due_at=due_at)
            raise
        else:
            self._write(sent, rules.mark_accepted(sent), due_at=None)

    def _search_in_sum(self, entry: SyncEntry, *, due_at: datetime) -> SyncEntry | None:
        """Search for the entry in Stripe's sum of its hour. Return the entry if it is missing there."""
        hour = entry.timestamp_hour
        stripes_sum = self.gateway.sum_of(self.customer_id, entry.meter, start=hour, end=hour + HOUR)
        of_hour = SyncLedger(self.store, entry.tenant_id).of_hour(hour)
        others = [other for other in of_hour if other.meter is entry.meter]
        match result := rules.search_in_sum(entry, others, stripes_sum=stripes_sum):
            case SearchResult.PRESENT:
                self._write(entry, rules.mark_accepted(entry), due_at=None)
                return None
            case SearchResult.UNCLEAR | SearchResult.UNDECIDED:
                reason = f"Stripe's sum of the hour does not show whether it arrived: {result}."
                logger.error("Stripe's sum is not clear", identifier=entry.identifier, found=result)
                report("drift", {DRIFT: 1}, tenant_id=entry.tenant_id, identifier=entry.identifier)
                unclear = rules.revert_attempt(entry, attempts=entry.attempts, reason=reason)
                self._write(entry, unclear, due_at=self.now + _UNCLEAR_RETRY_DELAY)
                return None
            case SearchResult.MISSING:
                return self._write(entry, rules.mark_unsent(entry), due_at=due_at)

    def _write(self, before: SyncEntry, after: SyncEntry, *, due_at: datetime | None) -> SyncEntry:
        SyncLedger(self.store, before.tenant_id).save(before, after, due_at=due_at)
        return after
