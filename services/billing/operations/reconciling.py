"""Comparing a tenant's books with each other and with Stripe, and putting them right by entries of their own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar

from services.billing.domain import reconciliation as rules
from services.billing.domain.cost import Period
from services.billing.domain.price import BilledMeter
from services.billing.domain.reconciliation import Books, Finding, Slot
from services.billing.domain.subscription import Subscription, current_of
from services.billing.domain.usage import HOUR, Entry, HourUsage, released, replaced
from services.billing.errors import BooksTooLarge
from services.billing.gateways.payments import Payments
from services.billing.operations.customers import get_customer
from services.billing.operations.sending import send_all
from services.billing.operations.usage import flush
from services.billing.table import entries as ledger
from services.billing.table.customers import find_customer, page_of_tenants
from services.billing.table.invoices import list_invoices
from services.billing.table.usage import usage_between
from shared.deadline import remaining_s
from shared.failures import facts_of
from shared.observability import logger
from shared.storage.store import Store

DAY = timedelta(days=1)
WINDOW = 60 * DAY
READ_AT_ONCE = 5_000
"""Entries after which a page of tenants ends, so that it is answered in time."""
MAX_ROWS = 50_000
"""Entries, and rows of usage, of one tenant that are compared: they are held in memory, some 100 MB."""

_LOOK_AGAIN = timedelta(minutes=1)
_PUT_AT_ONCE = 50
_TO_RESPOND_S = 8
"""A comparison that has less time than this is not begun."""

T = TypeVar("T")


def window_until(now: datetime, *, since: datetime | None = None) -> Period:
    """The time that is compared: whole days, 60 of them unless it is said since when, and today."""
    return Period(_midnight(since or now - WINDOW), _midnight(now) + DAY)


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def usages_of(store: Store, tenant_id: str, window: Period) -> list[HourUsage]:
    """The usage that metering has told of, by hour and revision.

    Raises:
        BooksTooLarge: there is more than fits into memory.
    """
    return _bounded(usage_between(store, tenant_id, window), MAX_ROWS)


def compare(store: Store, payments: Payments | None, tenant_id: str, window: Period, *, now: datetime) -> list[Finding]:
    """Where the tenant's books do not agree; without Stripe, only our own are looked at.

    Raises:
        BooksTooLarge: there is more than fits into memory.
    """
    return _compare(store, payments, tenant_id, _books(store, tenant_id, window, now=now))


@dataclass(slots=True)
class ComparedPage:
    """The comparison of a page of tenants."""

    findings: dict[str, list[Finding]] = field(default_factory=dict[str, list[Finding]])
    failed: dict[str, str] = field(default_factory=dict[str, str])
    """Tenants that could not be compared, with the reason."""
    place: str | None = None
    """To go on from; None at the end."""


def compare_some(
    store: Store,
    payments: Payments | None,
    *,
    limit: int,
    after: str | None,
    now: datetime,
    max_rows: int = MAX_ROWS,
) -> ComparedPage:
    """Compare a page of tenants, each by itself; a page of large books, or of a slow Stripe, ends early."""
    tenants, place = page_of_tenants(store, limit=limit, after=after)
    window, page, read = window_until(now), ComparedPage(), 0
    for tenant_id in tenants:
        if page.place and (read > READ_AT_ONCE or remaining_s() <= _TO_RESPOND_S):
            return page
        page.place = tenant_id
        try:
            books = _books(store, tenant_id, window, now=now, max_rows=max_rows)
            read += len(books.entries)
            page.findings[tenant_id] = _compare(store, payments, tenant_id, books)
        except Exception as error:  # noqa: BLE001 — one tenant's books must not hide those of the others
            facts = facts_of(error)
            logger.warning("tenant not compared", tenant_id=tenant_id, **facts)
            page.failed[tenant_id] = facts["reason"] or facts["error"]
    page.place = place
    return page


def repair(store: Store, payments: Payments, tenant_id: str, window: Period, *, now: datetime) -> Sequence[Entry]:
    """Send open entries, then book and send missing usage; return the entries that were added or released.

    An entry that was rejected is sent again if it is all that the sync ledger lacks. If Stripe refuses it once more, a
    correction takes its place.

    Raises:
        EntryChanged: another repair of the same tenant is running.
        PaymentsUnavailable: there was no time to book all hours.
        BooksTooLarge: there is more than fits into memory.
    """
    flush(store, payments, tenant_id, now=now)
    books = _books(store, tenant_id, window, now=now)
    findings = _compare(store, payments, tenant_id, books)
    customer = get_customer(store, tenant_id)
    again = [_release(store, entry, now=now) for entry in rules.releasable(books, findings)]
    if again:
        send_all(store, payments, customer, again, now=now)
        books = _books(store, tenant_id, window, now=now)
        findings = _compare(store, payments, tenant_id, books)
    made = rules.corrections(books, findings, tenant_id=tenant_id)
    for start in range(0, len(made), _PUT_AT_ONCE):
        ledger.add_entries(store, tenant_id, made[start : start + _PUT_AT_ONCE], due_at=now + _LOOK_AGAIN)
    for entry in rules.replaceable(books, findings):
        ledger.save_entry(store, entry, replaced(entry), due_at=None)
    send_all(store, payments, customer, [entry for entry in made if entry.is_open], now=now)
    return [*again, *made]


def _release(store: Store, entry: Entry, *, now: datetime) -> Entry:
    to_send = released(entry)
    ledger.save_entry(store, entry, to_send, due_at=now + _LOOK_AGAIN)
    return to_send


def _compare(store: Store, payments: Payments | None, tenant_id: str, books: Books) -> list[Finding]:
    findings = [*rules.used(books), *rules.on_the_way(books), *rules.invoiced(books)]
    customer = find_customer(store, tenant_id)
    if payments is None or customer is None or customer.stripe_customer_id is None:
        return findings
    if books.subscription is None and not books.entries:
        return findings
    subscriptions = payments.subscriptions_of(customer.stripe_customer_id)
    findings += rules.duplicated(subscriptions, _known(subscriptions, books))
    sums, undecided = _sums(payments, customer.stripe_customer_id, books)
    return [*findings, *rules.at_stripe(books, sums), *undecided]


def _known(subscriptions: Sequence[Subscription], books: Books) -> Subscription | None:
    return current_of(subscriptions, known_id=books.subscription and books.subscription.subscription_id)


def _books(store: Store, tenant_id: str, window: Period, *, now: datetime, max_rows: int = MAX_ROWS) -> Books:
    customer = find_customer(store, tenant_id)
    return Books(
        usages=_bounded(usage_between(store, tenant_id, window), max_rows),
        entries=_bounded(ledger.entries_between(store, tenant_id, window), max_rows),
        invoices=list_invoices(store, tenant_id),
        subscription=customer.subscription if customer else None,
        window=window,
        now=now,
    )


def _bounded(rows: Iterable[T], limit: int) -> list[T]:
    found = list(islice(rows, limit + 1))
    if len(found) > limit:
        raise BooksTooLarge
    return found


def _sums(payments: Payments, customer_id: str, books: Books) -> tuple[dict[Slot, int], list[Finding]]:
    """Stripe's sums by the hour; where a whole day is right, ours stand for them, so that few questions are asked.

    Days that differ and whose hours there is no time to ask for are findings themselves.
    """
    window, sums, undecided = books.window, dict(rules.accepted(books)), list[Finding]()
    for meter in BilledMeter:
        days = payments.sums_by("day", customer_id, meter, start=window.start, end=window.end)
        differing = rules.differing_days(sums, meter, days)
        for position, day in enumerate(differing):
            if remaining_s() <= _TO_RESPOND_S:
                undecided += rules.unresolved(sums, meter, days, differing[position:])
                break
            hours = payments.sums_by("hour", customer_id, meter, start=day, end=day + DAY)
            sums |= {(day + hour * HOUR, meter): hours.get(day + hour * HOUR, 0) for hour in range(24)}
    return sums, undecided
