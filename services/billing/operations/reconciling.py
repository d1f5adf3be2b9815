"""Comparing a tenant's books with each other and with Stripe, and putting them right by entries of their own."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from services.billing.domain import reconciliation as rules
from services.billing.domain.cost import Period
from services.billing.domain.price import BilledMeter
from services.billing.domain.reconciliation import Books, Finding, Slot
from services.billing.domain.usage import HOUR, Entry, HourUsage
from services.billing.gateways.payments import Payments
from services.billing.operations.customers import get_customer
from services.billing.operations.usage import flush, send_all
from services.billing.table import entries as ledger
from services.billing.table.customers import find_customer, page_of_tenants
from services.billing.table.invoices import list_invoices
from services.billing.table.usage import usage_between
from shared.storage.store import Store

DAY = timedelta(days=1)
WINDOW = 60 * DAY
READ_AT_ONCE = 5_000
"""Entries after which a page of tenants ends, so that it is answered in time."""

_LOOK_AGAIN = timedelta(minutes=1)
_PUT_AT_ONCE = 50


def window_until(now: datetime, *, since: datetime | None = None) -> Period:
    """The time that is compared: whole days, 60 of them unless it is said since when, and today."""
    return Period(_midnight(since or now - WINDOW), _midnight(now) + DAY)


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def usages_of(store: Store, tenant_id: str, window: Period) -> list[HourUsage]:
    """The usage that metering has told of, by hour and revision."""
    return list(usage_between(store, tenant_id, window))


def compare(store: Store, payments: Payments | None, tenant_id: str, window: Period, *, now: datetime) -> list[Finding]:
    """Where the tenant's books do not agree; without Stripe, only our own are looked at."""
    books = _books(store, tenant_id, window, now=now)
    findings = [*rules.used(books), *rules.on_the_way(books), *rules.invoiced(books)]
    customer = find_customer(store, tenant_id)
    if payments is None or customer is None or customer.stripe_customer_id is None:
        return findings
    if books.subscription is None and not books.entries:
        return findings
    return [*findings, *rules.at_stripe(books, _sums(payments, customer.stripe_customer_id, books))]


def compare_some(
    store: Store, payments: Payments | None, *, limit: int, after: str | None, now: datetime
) -> tuple[dict[str, list[Finding]], str | None]:
    """The same of a page of tenants, and the place to go on from; a page of large books ends early."""
    tenants, place = page_of_tenants(store, limit=limit, after=after)
    window, found, read = window_until(now), dict[str, list[Finding]](), 0
    for tenant_id in tenants:
        found[tenant_id] = compare(store, payments, tenant_id, window, now=now)
        read += sum(1 for _ in ledger.entries_between(store, tenant_id, window))
        if read > READ_AT_ONCE and tenant_id != tenants[-1]:
            return found, tenant_id
    return found, place


def repair(store: Store, payments: Payments, tenant_id: str, window: Period, *, now: datetime) -> Sequence[Entry]:
    """Send what is left, then book and send what is still missing; says which entries that made.

    Raises:
        EntryChanged: somebody else repairs the same.
    """
    flush(store, payments, tenant_id, now=now)
    findings = compare(store, payments, tenant_id, window, now=now)
    made = rules.corrections(_books(store, tenant_id, window, now=now), findings, tenant_id=tenant_id)
    for start in range(0, len(made), _PUT_AT_ONCE):
        ledger.add_entries(store, tenant_id, made[start : start + _PUT_AT_ONCE], due_at=now + _LOOK_AGAIN)
    customer = get_customer(store, tenant_id)
    send_all(store, payments, customer, [entry for entry in made if entry.is_open], now=now)
    return made


def _books(store: Store, tenant_id: str, window: Period, *, now: datetime) -> Books:
    customer = find_customer(store, tenant_id)
    return Books(
        usages=usages_of(store, tenant_id, window),
        entries=list(ledger.entries_between(store, tenant_id, window)),
        invoices=list_invoices(store, tenant_id),
        subscription=customer.subscription if customer else None,
        window=window,
        now=now,
    )


def _sums(payments: Payments, customer_id: str, books: Books) -> dict[Slot, int]:
    """Stripe's sums by the hour; where a whole day is right, ours stand for them, so that few questions are asked."""
    window, sums = books.window, dict(rules.accepted(books))
    for meter in BilledMeter:
        days = payments.sums_by("day", customer_id, meter, start=window.start, end=window.end)
        for day in rules.differing_days(sums, meter, days):
            hours = payments.sums_by("hour", customer_id, meter, start=day, end=day + DAY)
            sums |= {(day + hour * HOUR, meter): hours.get(day + hour * HOUR, 0) for hour in range(24)}
    return sums
