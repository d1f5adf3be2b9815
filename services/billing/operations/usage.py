"""Usage on its way to Stripe: kept, booked into the sync ledger, sent.

A crash anywhere leaves an entry that is due; whoever finds it goes on from what the ledger knows.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from services.billing.domain import usage as rules
from services.billing.domain.cost import Period
from services.billing.domain.customer import Customer
from services.billing.domain.usage import HOUR, Entry, EntryState, Found, HourUsage, hour_of
from services.billing.errors import AlreadyBooked, AlreadyKept, EntryChanged, PaymentsUnavailable, RefusedByStripe
from services.billing.gateways.payments import Payments
from services.billing.operations.customers import get_customer
from services.billing.table import entries as ledger
from services.billing.table import usage as table
from shared.metrics import DRIFT
from shared.observability import logger, report
from shared.storage.store import Store

_LOOK_AGAIN = timedelta(minutes=1)
_LOOK_AT_UNCLEAR = timedelta(hours=6)
_TRIES = 8
_AT_ONCE = 200


def take_in(store: Store, payments: Payments | None, tenant_id: str, usage: HourUsage, *, now: datetime) -> None:
    """Keep the usage of an hour, and send what Stripe charges for."""
    try:
        table.keep_usage(store, tenant_id, usage)
    except AlreadyKept:
        logger.info("hour known", tenant_id=tenant_id, rev=usage.rev)
    if payments is None:
        return
    customer = get_customer(store, tenant_id)
    send_all(store, payments, customer, _book(store, customer, usage, now=now), now=now)


def book_open_hours(store: Store, payments: Payments, tenant_id: str, *, now: datetime) -> None:
    """Book and send the hours that were closed before the subscription was known here."""
    customer = get_customer(store, tenant_id)
    if customer.subscription is None or customer.stripe_customer_id is None:
        return
    since = max(customer.subscription.started_at, now - rules.OLDEST_STAMP)
    for usage in list(table.usage_between(store, tenant_id, Period(since, now + HOUR))):
        if not usage.booked:
            send_all(store, payments, customer, _book(store, customer, usage, now=now), now=now)


def _book(store: Store, customer: Customer, usage: HourUsage, *, now: datetime) -> Sequence[Entry]:
    """Put an hour into the sync ledger; says which entries that made.

    Raises:
        AlreadyBooked: other hours are booked all the time.
    """
    subscription = customer.subscription
    if subscription is None or not rules.is_billable(usage.hour, subscription, now=now):
        return ()
    for _ in range(_TRIES):
        kept = table.find_usage(store, customer.tenant_id, hour=usage.hour, rev=usage.rev)
        if kept is None or kept.booked:
            return ()
        left = table.read_remainder(store, customer.tenant_id)
        booking = rules.book(
            kept, tenant_id=customer.tenant_id, subscription=subscription, byte_hours_left=left, now=now
        )
        try:
            table.add_booking(store, customer.tenant_id, kept, booking, left_before=left, due_at=now + _LOOK_AGAIN)
        except AlreadyBooked:
            continue
        return booking.entries
    raise AlreadyBooked


def send_all(store: Store, payments: Payments, customer: Customer, entries: Iterable[Entry], *, now: datetime) -> bool:
    """Send entries one after the other; says whether Stripe had time for all of them. The others stay due."""
    for entry in entries:
        try:
            _send(store, payments, customer, entry, now=now)
        except EntryChanged:
            logger.info("somebody else sends it", identifier=entry.identifier)
        except PaymentsUnavailable:
            logger.warning("Stripe does not take usage now", identifier=entry.identifier)
            return False
    return True


def _send(store: Store, payments: Payments, customer: Customer, entry: Entry, *, now: datetime) -> None:
    if customer.stripe_customer_id is None or customer.subscription is None:
        return
    to_send: Entry | None = entry
    if not rules.may_be_sent_blindly(entry, now=now):
        to_send = _look_up(store, payments, customer.stripe_customer_id, entry, now=now)
    if to_send is None:
        return
    soon = now + _LOOK_AGAIN
    if to_send.state is EntryState.PENDING and rules.comes_too_late(to_send.stamped_at, customer.subscription, now=now):
        to_send = _write(store, to_send, rules.carried_to(to_send, customer.subscription, now=now), due_at=soon)
    to_send = _write(store, to_send, rules.sent(to_send, now=now), due_at=soon)
    try:
        payments.send(customer.stripe_customer_id, to_send)
    except RefusedByStripe as refused:
        logger.error("Stripe refuses usage", identifier=entry.identifier, reason=str(refused))
        report("drift", {DRIFT: 1}, tenant_id=entry.tenant_id, identifier=entry.identifier)
        _write(store, to_send, rules.rejected(to_send, reason=str(refused)), due_at=None)
    else:
        _write(store, to_send, rules.accepted(to_send), due_at=None)


def _look_up(store: Store, payments: Payments, customer_id: str, entry: Entry, *, now: datetime) -> Entry | None:
    """Ask Stripe's own sum whether the entry is in it; gives back what must be sent after all."""
    hour = entry.stamp_hour
    counted = payments.sum_of(customer_id, entry.meter, start=hour, end=hour + HOUR)
    others = [one for one in ledger.entries_of_hour(store, entry.tenant_id, hour) if one.meter is entry.meter]
    match found := rules.found_in_sum(entry, others, stripes_sum=counted):
        case Found.THERE:
            _write(store, entry, rules.accepted(entry), due_at=None)
            return None
        case Found.UNCLEAR | Found.UNDECIDED:
            logger.error("Stripe's sum is not clear", identifier=entry.identifier, found=found)
            report("drift", {DRIFT: 1}, tenant_id=entry.tenant_id, identifier=entry.identifier)
            _write(store, entry, entry, due_at=now + _LOOK_AT_UNCLEAR)
            return None
        case Found.MISSING:
            return _write(store, entry, rules.never_sent(entry), due_at=now + _LOOK_AGAIN)


def _write(store: Store, before: Entry, after: Entry, *, due_at: datetime | None) -> Entry:
    ledger.save_entry(store, before, after, due_at=due_at)
    return after


def send_due(store: Store, payments: Payments, *, now: datetime) -> Sequence[Entry]:
    """Send what is left over of any tenant; says what was looked at, as it was before."""
    found = ledger.due_entries(store, now=now, limit=_AT_ONCE)
    customers: dict[str, Customer] = {}
    for entry in found:
        customer = customers.get(entry.tenant_id) or get_customer(store, entry.tenant_id)
        customers[entry.tenant_id] = customer
        if not send_all(store, payments, customer, (entry,), now=now):
            break
    return found


def flush(store: Store, payments: Payments, tenant_id: str, *, now: datetime) -> bool:
    """Send everything of a tenant that is not final; says whether nothing is left."""
    book_open_hours(store, payments, tenant_id, now=now)
    customer = get_customer(store, tenant_id)
    period = Period(hour_of(now - rules.OLDEST_STAMP), now + HOUR)
    left = [entry for entry in ledger.entries_between(store, tenant_id, period) if entry.is_open]
    return send_all(store, payments, customer, left, now=now)
