"""Usage for Stripe: stored by the hour, booked into the sync ledger, then sent.

A crash at any point leaves a due entry, and the sweep continues from the state in the ledger.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.billing.customers.domain.customer import Customer
from services.billing.customers.domain.period import BillingPeriod
from services.billing.customers.operations import get_customer
from services.billing.errors import BookingIncomplete, HourAlreadyStored
from services.billing.usage_sync import domain as rules
from services.billing.usage_sync.domain import HOUR, EntryState, HourUsage, SyncEntry, hour_of
from services.billing.usage_sync.gateway import MeterEventGateway
from services.billing.usage_sync.operations.sending import RETRY_DELAY, send_all
from services.billing.usage_sync.table.entries import SyncLedger
from services.billing.usage_sync.table.usage import RemainderTable, UsageTable
from shared.deadline import remaining_s
from shared.observability import logger
from shared.storage.retry import retry_on_conflict
from shared.storage.store import Store

SEARCH_WINDOW = timedelta(days=62)
"""The past period in which open and rejected entries are searched."""
MAX_HOURS_PER_BOOKING = 200
"""Maximum number of hours per booking. An hour takes some 30 ms."""
_RESERVED_S = 20
"""Seconds of an invocation that are reserved for the other messages of its batch."""
_MAX_ATTEMPTS = 8
MAX_REASONS = 5


def ingest_hour(
    store: Store,
    gateway: MeterEventGateway | None,
    tenant_id: str,
    usage: HourUsage,
    *,
    now: datetime,
    send_now: bool = True,
) -> None:
    """Store the usage of an hour, book its billed part into the sync ledger and send it.

    Args:
        store: the slice.
        gateway: the Stripe gateway; None if no key is configured.
        tenant_id: the tenant.
        usage: the usage of the hour.
        now: the time.
        send_now: False leaves sending to the sweep, which alternates between tenants. Use it for events that one tenant
            can cause in large numbers.
    """
    try:
        UsageTable(store, tenant_id).create(usage)
    except HourAlreadyStored:
        logger.info("hour known", tenant_id=tenant_id, rev=usage.rev)
    if gateway is None:
        return
    customer = get_customer(store, tenant_id)
    entries = _book(store, customer, usage, now=now, due_at=now + RETRY_DELAY if send_now else now)
    if send_now:
        send_all(store, gateway, customer, entries, now=now, reserved_s=_RESERVED_S)


def book_open_hours(store: Store, gateway: MeterEventGateway, tenant_id: str, *, now: datetime) -> None:
    """Book and send the hours that closed before billing knew of the subscription.

    Raises:
        BookingIncomplete: more hours are open than one call books.
    """
    customer = get_customer(store, tenant_id)
    if customer.subscription is None or customer.stripe_customer_id is None:
        return
    since = max(customer.subscription.started_at, now - rules.MAX_TIMESTAMP_AGE)
    booked, is_sending = 0, True
    for usage in UsageTable(store, tenant_id).between(BillingPeriod(since, now + HOUR)):
        if usage.booked or not rules.is_billable(usage.hour, customer.subscription, now=now):
            continue
        if booked == MAX_HOURS_PER_BOOKING:
            raise BookingIncomplete
        entries = _book(store, customer, usage, now=now, due_at=now + RETRY_DELAY)
        if is_sending:
            # After a failure, this entry and all later ones are left to the sweep.
            is_sending = not send_all(store, gateway, customer, entries, now=now, reserved_s=_RESERVED_S)
        booked += 1


def _book(
    store: Store, customer: Customer, usage: HourUsage, *, now: datetime, due_at: datetime
) -> Sequence[SyncEntry]:
    """Book an hour into the sync ledger, and return the new entries.

    Raises:
        HourAlreadyBooked: another hour was booked during every attempt.
    """
    subscription = customer.subscription
    if subscription is None or not rules.is_billable(usage.hour, subscription, now=now):
        return ()
    tenant_id = customer.tenant_id
    hours = UsageTable(store, tenant_id)

    def attempt() -> Sequence[SyncEntry]:
        stored = hours.find_revision(usage.hour, usage.rev)
        if stored is None or stored.booked:
            return ()
        left = RemainderTable(store, tenant_id).read()
        booking = rules.book(stored, tenant_id=tenant_id, subscription=subscription, byte_hours_left=left, now=now)
        hours.book(stored, booking, left_before=left, due_at=due_at)
        return booking.entries

    return retry_on_conflict(attempt, max_attempts=_MAX_ATTEMPTS)


@dataclass(frozen=True, slots=True)
class Unsent:
    """The usage of a tenant that Stripe does not have."""

    open: int
    """The number of entries that are still to be sent."""
    rejected: int
    """The number of entries that Stripe rejected permanently and that no correction has replaced."""
    reasons: tuple[str, ...] = ()
    """The reasons, at most five."""

    @property
    def all_sent(self) -> bool:
        """Return whether Stripe has all usage."""
        return not self.open and not self.rejected


def flush(store: Store, gateway: MeterEventGateway, tenant_id: str, *, now: datetime) -> Unsent:
    """Send all open entries of a tenant; return the usage that is left.

    Raises:
        BookingIncomplete: not all hours could be booked in time.
    """
    _book_all(store, gateway, tenant_id, now=now)
    customer = get_customer(store, tenant_id)
    open_entries = (entry for entry in _recent(store, tenant_id, now=now) if entry.is_open)
    reasons = send_all(store, gateway, customer, open_entries, now=now)
    return count_unsent(store, tenant_id, now=now, reasons=reasons)


def _book_all(store: Store, gateway: MeterEventGateway, tenant_id: str, *, now: datetime) -> None:
    while True:
        try:
            return book_open_hours(store, gateway, tenant_id, now=now)
        except BookingIncomplete:
            if remaining_s() <= _RESERVED_S:
                raise


def count_unsent(store: Store, tenant_id: str, *, now: datetime, reasons: set[str] | None = None) -> Unsent:
    """Count the entries of the last 62 days in the sync ledger that Stripe does not have."""
    unsent = rejected = 0
    all_reasons = set(reasons or ())
    for entry in _recent(store, tenant_id, now=now):
        if not entry.is_open and entry.state is not EntryState.REJECTED:
            continue
        unsent, rejected = unsent + entry.is_open, rejected + (not entry.is_open)
        if entry.reason and len(all_reasons) < MAX_REASONS:
            all_reasons.add(entry.reason)
    return Unsent(unsent, rejected, tuple(sorted(all_reasons)[:MAX_REASONS]))


def _recent(store: Store, tenant_id: str, *, now: datetime) -> Iterator[SyncEntry]:
    return SyncLedger(store, tenant_id).between(BillingPeriod(hour_of(now - SEARCH_WINDOW), now + HOUR))
