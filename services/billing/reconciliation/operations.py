"""Comparison of a tenant's usage, sync ledger and invoices with each other and with Stripe; repair by new entries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Protocol, TypeVar

from services.billing.catalog.domain import BilledMeter
from services.billing.customers.domain.period import BillingPeriod
from services.billing.customers.domain.subscription import Subscription
from services.billing.customers.operations import get_customer
from services.billing.customers.table import AllCustomers, CustomerTable
from services.billing.errors import TooManyRecords
from services.billing.invoices.table import InvoiceTable
from services.billing.reconciliation import domain as rules
from services.billing.reconciliation.domain import Discrepancy, Slot, UsageRecords
from services.billing.subscriptions.domain import select_current
from services.billing.subscriptions.gateway.subscriptions import SubscriptionGateway
from services.billing.usage_sync.domain import HOUR, HourUsage, SyncEntry, mark_replaced, release
from services.billing.usage_sync.gateway import MeterEventGateway
from services.billing.usage_sync.operations.booking import flush
from services.billing.usage_sync.operations.sending import send_all
from services.billing.usage_sync.table.entries import SyncLedger
from services.billing.usage_sync.table.usage import UsageTable
from shared.deadline import remaining_s
from shared.failures import facts_of
from shared.observability import logger
from shared.storage.store import Store

DAY = timedelta(days=1)
WINDOW = 60 * DAY
MAX_ENTRIES_PER_PAGE = 5_000
"""The number of entries read after which a page of tenants ends, so that the request does not time out."""
MAX_ROWS = 50_000
"""Maximum number of entries, and of rows of usage, that are compared per tenant. They take some 100 MB of memory."""

_RETRY_DELAY = timedelta(minutes=1)
_ENTRIES_PER_TRANSACTION = 50
_RESERVED_S = 8
"""Seconds that must remain before another comparison begins."""


class ReconciliationGateway(SubscriptionGateway, MeterEventGateway, Protocol):
    """Subscriptions and meter events at Stripe."""


T = TypeVar("T")


def window_until(now: datetime, *, since: datetime | None = None) -> BillingPeriod:
    """Return the period to compare: whole UTC days up to and including today, 60 of them unless `since` is given."""
    return BillingPeriod(_midnight(since or now - WINDOW), _midnight(now) + DAY)


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def list_usage(store: Store, tenant_id: str, window: BillingPeriod) -> list[HourUsage]:
    """Return the stored usage, one row per hour and revision.

    Raises:
        TooManyRecords: there are more rows than fit into memory.
    """
    return _bounded(UsageTable(store, tenant_id).between(window), MAX_ROWS)


def compare(
    store: Store, gateway: ReconciliationGateway | None, tenant_id: str, window: BillingPeriod, *, now: datetime
) -> list[Discrepancy]:
    """Return the differences in a tenant's records. Without Stripe, only our own records are compared.

    Raises:
        TooManyRecords: there are more rows than fit into memory.
    """
    return _compare(store, gateway, tenant_id, _read_records(store, tenant_id, window, now=now))


@dataclass(slots=True)
class ComparedPage:
    """The result of comparing a page of tenants."""

    discrepancies: dict[str, list[Discrepancy]] = field(default_factory=dict[str, list[Discrepancy]])
    failed: dict[str, str] = field(default_factory=dict[str, str])
    """The reason by tenant, for those that could not be compared."""
    next_cursor: str | None = None
    """The tenant after which the next page begins; None on the last page."""


def compare_page(
    store: Store,
    gateway: ReconciliationGateway | None,
    *,
    limit: int,
    after: str | None,
    now: datetime,
    max_rows: int = MAX_ROWS,
) -> ComparedPage:
    """Compare a page of tenants. The page ends early if its tenants have much data or Stripe is slow.

    A tenant that cannot be compared does not affect the others.
    """
    tenants, place = AllCustomers(store).page(limit=limit, after=after)
    window, page, read = window_until(now), ComparedPage(), 0
    for tenant_id in tenants:
        if page.next_cursor and (read > MAX_ENTRIES_PER_PAGE or remaining_s() <= _RESERVED_S):
            return page
        page.next_cursor = tenant_id
        try:
            records = _read_records(store, tenant_id, window, now=now, max_rows=max_rows)
            read += len(records.entries)
            page.discrepancies[tenant_id] = _compare(store, gateway, tenant_id, records)
        except Exception as error:  # noqa: BLE001 — the failure of one tenant must not hide the results of others
            facts = facts_of(error)
            logger.warning("tenant not compared", tenant_id=tenant_id, **facts)
            page.failed[tenant_id] = facts["reason"] or facts["error"]
    page.next_cursor = place
    return page


def repair(
    store: Store, gateway: ReconciliationGateway, tenant_id: str, window: BillingPeriod, *, now: datetime
) -> Sequence[SyncEntry]:
    """Send open entries, then book and send missing usage; return the entries that were added or released.

    A rejected entry is sent again if it is all that the sync ledger lacks. If Stripe rejects it again, a correction
    replaces it.

    Raises:
        EntryChanged: another repair of the same tenant is running.
        PaymentsUnavailable: not all hours could be booked in time.
        TooManyRecords: there are more rows than fit into memory.
    """
    flush(store, gateway, tenant_id, now=now)
    records = _read_records(store, tenant_id, window, now=now)
    discrepancies = _compare(store, gateway, tenant_id, records)
    customer = get_customer(store, tenant_id)
    released = [_release(store, entry, now=now) for entry in rules.releasable(records, discrepancies)]
    if released:
        send_all(store, gateway, customer, released, now=now)
        records = _read_records(store, tenant_id, window, now=now)
        discrepancies = _compare(store, gateway, tenant_id, records)
    ledger = SyncLedger(store, tenant_id)
    corrections = rules.corrections(records, discrepancies, tenant_id=tenant_id)
    for start in range(0, len(corrections), _ENTRIES_PER_TRANSACTION):
        ledger.create(corrections[start : start + _ENTRIES_PER_TRANSACTION], due_at=now + _RETRY_DELAY)
    for entry in rules.replaceable(records, discrepancies):
        ledger.save(entry, mark_replaced(entry), due_at=None)
    send_all(store, gateway, customer, [entry for entry in corrections if entry.is_open], now=now)
    return [*released, *corrections]


def _release(store: Store, entry: SyncEntry, *, now: datetime) -> SyncEntry:
    to_send = release(entry)
    SyncLedger(store, entry.tenant_id).save(entry, to_send, due_at=now + _RETRY_DELAY)
    return to_send


def _compare(
    store: Store, gateway: ReconciliationGateway | None, tenant_id: str, records: UsageRecords
) -> list[Discrepancy]:
    discrepancies = [
        *rules.compare_ledger(records),
        *rules.find_open_entries(records),
        *rules.compare_invoices(records),
    ]
    customer = CustomerTable(store, tenant_id).find()
    if gateway is None or customer is None or customer.stripe_customer_id is None:
        return discrepancies
    if records.subscription is None and not records.entries:
        return discrepancies
    subscriptions = gateway.subscriptions_of(customer.stripe_customer_id)
    discrepancies += rules.find_duplicates(subscriptions, _current(subscriptions, records))
    sums, undecided = _sums(gateway, customer.stripe_customer_id, records)
    return [*discrepancies, *rules.compare_stripe(records, sums), *undecided]


def _current(subscriptions: Sequence[Subscription], records: UsageRecords) -> Subscription | None:
    return select_current(subscriptions, known_id=records.subscription and records.subscription.subscription_id)


def _read_records(
    store: Store, tenant_id: str, window: BillingPeriod, *, now: datetime, max_rows: int = MAX_ROWS
) -> UsageRecords:
    customer = CustomerTable(store, tenant_id).find()
    return UsageRecords(
        usages=_bounded(UsageTable(store, tenant_id).between(window), max_rows),
        entries=_bounded(SyncLedger(store, tenant_id).between(window), max_rows),
        invoices=InvoiceTable(store, tenant_id).newest_first(),
        subscription=customer.subscription if customer else None,
        window=window,
        now=now,
    )


def _bounded(rows: Iterable[T], limit: int) -> list[T]:
    read = list(islice(rows, limit + 1))
    if len(read) > limit:
        raise TooManyRecords
    return read


def _sums(
    gateway: ReconciliationGateway, customer_id: str, records: UsageRecords
) -> tuple[dict[Slot, int], list[Discrepancy]]:
    """Return Stripe's sums by the hour, and findings for days whose hours cannot be read in time.

    If Stripe's sum of a day is correct, our own sums are used for its hours, to save requests.
    """
    window, sums, undecided = records.window, dict(rules.accepted_quantities(records)), list[Discrepancy]()
    for meter in BilledMeter:
        days = gateway.sums_by("day", customer_id, meter, start=window.start, end=window.end)
        differing = rules.differing_days(sums, meter, days)
        for position, day in enumerate(differing):
            if remaining_s() <= _RESERVED_S:
                undecided += rules.unresolved_days(sums, meter, days, differing[position:])
                break
            hours = gateway.sums_by("hour", customer_id, meter, start=day, end=day + DAY)
            sums |= {(day + hour * HOUR, meter): hours.get(day + hour * HOUR, 0) for hour in range(24)}
    return sums, undecided
