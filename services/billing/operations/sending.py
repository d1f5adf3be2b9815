"""Meter events on their way from the sync ledger to Stripe.

An entry is written as sent before it is sent and as accepted afterwards. Where Stripe has certainly done nothing, it is
written back; where that is not known, it stays sent, and for 20 h the same identifier can be sent again.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from services.billing.domain import usage as rules
from services.billing.domain.customer import Customer
from services.billing.domain.usage import HOUR, Entry, EntryState, Found
from services.billing.errors import (
    EntryChanged,
    NothingDone,
    OutOfTime,
    PaymentsUnavailable,
    RefusedByStripe,
    UsageNotAccepted,
)
from services.billing.gateways.payments import Payments
from services.billing.table import entries as ledger
from shared.deadline import remaining_s
from shared.metrics import DRIFT
from shared.observability import logger, report
from shared.storage.store import Store

LOOK_AGAIN = timedelta(minutes=1)
_LOOK_AT_UNCLEAR = timedelta(hours=6)
_SHORTEST_S = 2
"""A send that has less time than this is not begun."""


def send_all(
    store: Store,
    payments: Payments,
    customer: Customer,
    entries: Iterable[Entry],
    *,
    now: datetime,
    leave_s: int = _SHORTEST_S,
) -> set[str]:
    """Send entries one after the other; return why some were not sent. Those stay due.

    A refused entry does not stop the others; an outage does.

    Args:
        store: the slice.
        payments: Stripe.
        customer: whose usage it is.
        entries: of the sync ledger.
        now: the time.
        leave_s: how many seconds of the invocation are left to other work.
    """
    reasons = set[str]()
    for entry in entries:
        try:
            if remaining_s() <= leave_s:
                raise OutOfTime
            send_entry(store, payments, customer, entry, now=now)
        except EntryChanged:
            logger.info("entry is sent by another function", identifier=entry.identifier)
        except (UsageNotAccepted, RefusedByStripe) as error:
            logger.warning("usage not accepted by Stripe", identifier=entry.identifier, reason=str(error))
            reasons.add(str(error))
        except PaymentsUnavailable as error:
            logger.warning("usage not sent", identifier=entry.identifier, reason=str(error))
            reasons.add(str(error))
            break
    return reasons


def send_entry(store: Store, payments: Payments, customer: Customer, entry: Entry, *, now: datetime) -> None:
    """Send one entry, unless Stripe's sum shows that it has arrived.

    Raises:
        EntryChanged: another function sends it.
        PaymentsUnavailable: Stripe does not take it now.
        UsageNotAccepted: Stripe refuses it for a reason that may pass.
        RefusedByStripe: Stripe does not return its sum.
    """
    if customer.stripe_customer_id is None or customer.subscription is None:
        msg = "The tenant has no subscription at Stripe."
        raise UsageNotAccepted(msg)
    due_at = entry.due_at or now + LOOK_AGAIN
    to_send: Entry | None = entry
    if not rules.may_be_sent_blindly(entry, now=now):
        to_send = _look_up(store, payments, customer.stripe_customer_id, entry, now=now)
    if to_send is None:
        return
    if to_send.state is EntryState.PENDING and rules.comes_too_late(to_send.stamped_at, customer.subscription, now=now):
        to_send = _write(store, to_send, rules.carried_to(to_send, customer.subscription, now=now), due_at=due_at)
    sent = _write(store, to_send, rules.sent(to_send, now=now), due_at=due_at)
    try:
        payments.send(customer.stripe_customer_id, sent)
    except RefusedByStripe as refused:
        logger.error("Stripe refuses usage", identifier=entry.identifier, reason=str(refused))
        report("drift", {DRIFT: 1}, tenant_id=entry.tenant_id, identifier=entry.identifier)
        _write(store, sent, rules.rejected(sent, reason=str(refused)), due_at=None)
    except (NothingDone, UsageNotAccepted) as error:
        _write(store, sent, rules.put_off(to_send, attempts=sent.attempts, reason=str(error)), due_at=due_at)
        raise
    else:
        _write(store, sent, rules.accepted(sent), due_at=None)


def _look_up(store: Store, payments: Payments, customer_id: str, entry: Entry, *, now: datetime) -> Entry | None:
    """Ask Stripe's own sum whether the entry is in it; return what must be sent after all."""
    hour = entry.stamp_hour
    counted = payments.sum_of(customer_id, entry.meter, start=hour, end=hour + HOUR)
    others = [one for one in ledger.entries_of_hour(store, entry.tenant_id, hour) if one.meter is entry.meter]
    match found := rules.found_in_sum(entry, others, stripes_sum=counted):
        case Found.THERE:
            _write(store, entry, rules.accepted(entry), due_at=None)
            return None
        case Found.UNCLEAR | Found.UNDECIDED:
            reason = f"Stripe's sum of the hour does not show whether it arrived: {found}."
            logger.error("Stripe's sum is not clear", identifier=entry.identifier, found=found)
            report("drift", {DRIFT: 1}, tenant_id=entry.tenant_id, identifier=entry.identifier)
            unclear = rules.put_off(entry, attempts=entry.attempts, reason=reason)
            _write(store, entry, unclear, due_at=now + _LOOK_AT_UNCLEAR)
            return None
        case Found.MISSING:
            return _write(store, entry, rules.never_sent(entry), due_at=entry.due_at or now + LOOK_AGAIN)


def _write(store: Store, before: Entry, after: Entry, *, due_at: datetime | None) -> Entry:
    ledger.save_entry(store, before, after, due_at=due_at)
    return after
