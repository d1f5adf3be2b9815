"""Usage on its way to Stripe: kept, booked into the sync ledger, sent.

A crash anywhere leaves an entry that is due; whoever finds it goes on from what the ledger knows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.billing.domain import usage as rules
from services.billing.domain.cost import Period
from services.billing.domain.customer import Customer
from services.billing.domain.usage import HOUR, Entry, EntryState, HourUsage, hour_of
from services.billing.errors import AlreadyBooked, AlreadyKept, BookingUnfinished
from services.billing.gateways.payments import Payments
from services.billing.operations.customers import get_customer
from services.billing.operations.sending import LOOK_AGAIN, send_all
from services.billing.table import entries as ledger
from services.billing.table import usage as table
from shared.deadline import remaining_s
from shared.observability import logger
from shared.storage.store import Store

WINDOW = timedelta(days=62)
"""The past time in which open and rejected entries are looked for."""
BOOKED_AT_ONCE = 200
"""Hours; a booking takes some 30 ms."""
_LEAVE_S = 20
"""Seconds of an invocation that are left to the other messages of its batch."""
_TRIES = 8
MAX_REASONS = 5


def take_in(
    store: Store,
    payments: Payments | None,
    tenant_id: str,
    usage: HourUsage,
    *,
    now: datetime,
    send_now: bool = True,
) -> None:
    """Keep the usage of an hour, book what Stripe charges for, and send it.

    Args:
        store: the slice.
        payments: Stripe; None where there is none.
        tenant_id: whose usage it is.
        usage: of the hour.
        now: the time.
        send_now: False leaves it to the sweep, which takes the tenants in turns: for what a tenant can cause much of.
    """
    try:
        table.keep_usage(store, tenant_id, usage)
    except AlreadyKept:
        logger.info("hour known", tenant_id=tenant_id, rev=usage.rev)
    if payments is None:
        return
    customer = get_customer(store, tenant_id)
    entries = _book(store, customer, usage, now=now, due_at=now + LOOK_AGAIN if send_now else now)
    if send_now:
        send_all(store, payments, customer, entries, now=now, leave_s=_LEAVE_S)


def book_open_hours(store: Store, payments: Payments, tenant_id: str, *, now: datetime) -> None:
    """Book and send the hours that were closed before the subscription was known here.

    Raises:
        BookingUnfinished: there are more than are booked at once.
    """
    customer = get_customer(store, tenant_id)
    if customer.subscription is None or customer.stripe_customer_id is None:
        return
    since = max(customer.subscription.started_at, now - rules.OLDEST_STAMP)
    booked, is_sending = 0, True
    for usage in table.usage_between(store, tenant_id, Period(since, now + HOUR)):
        if usage.booked or not rules.is_billable(usage.hour, customer.subscription, now=now):
            continue
        if booked == BOOKED_AT_ONCE:
            raise BookingUnfinished
        entries = _book(store, customer, usage, now=now, due_at=now + LOOK_AGAIN)
        if is_sending:
            # After a failure, this entry and all later ones are left to the sweep.
            is_sending = not send_all(store, payments, customer, entries, now=now, leave_s=_LEAVE_S)
        booked += 1


def _book(store: Store, customer: Customer, usage: HourUsage, *, now: datetime, due_at: datetime) -> Sequence[Entry]:
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
            table.add_booking(store, customer.tenant_id, kept, booking, left_before=left, due_at=due_at)
        except AlreadyBooked:
            continue
        return booking.entries
    raise AlreadyBooked


@dataclass(frozen=True, slots=True)
class Unsent:
    """Usage of a tenant that Stripe does not have."""

    open: int
    """Entries that are still to be sent."""
    rejected: int
    """Entries that Stripe has refused for good and nothing has replaced."""
    reasons: tuple[str, ...] = ()
    """Why, at most five."""

    @property
    def all_sent(self) -> bool:
        """Whether Stripe has everything."""
        return not self.open and not self.rejected


def flush(store: Store, payments: Payments, tenant_id: str, *, now: datetime) -> Unsent:
    """Send everything of a tenant that is not final; return what is left.

    Raises:
        BookingUnfinished: there was no time to book all hours.
    """
    _book_all(store, payments, tenant_id, now=now)
    customer = get_customer(store, tenant_id)
    left = (entry for entry in _recent(store, tenant_id, now=now) if entry.is_open)
    reasons = send_all(store, payments, customer, left, now=now)
    return unsent(store, tenant_id, now=now, reasons=reasons)


def _book_all(store: Store, payments: Payments, tenant_id: str, *, now: datetime) -> None:
    while True:
        try:
            return book_open_hours(store, payments, tenant_id, now=now)
        except BookingUnfinished:
            if remaining_s() <= _LEAVE_S:
                raise


def unsent(store: Store, tenant_id: str, *, now: datetime, reasons: set[str] | None = None) -> Unsent:
    """Count what of a tenant's usage Stripe does not have, by the sync ledger of the last 62 days."""
    waiting = rejected = 0
    found = set(reasons or ())
    for entry in _recent(store, tenant_id, now=now):
        if not entry.is_open and entry.state is not EntryState.REJECTED:
            continue
        waiting, rejected = waiting + entry.is_open, rejected + (not entry.is_open)
        if entry.reason and len(found) < MAX_REASONS:
            found.add(entry.reason)
    return Unsent(waiting, rejected, tuple(sorted(found)[:MAX_REASONS]))


def _recent(store: Store, tenant_id: str, *, now: datetime) -> Iterator[Entry]:
    return ledger.entries_between(store, tenant_id, Period(hour_of(now - WINDOW), now + HOUR))
