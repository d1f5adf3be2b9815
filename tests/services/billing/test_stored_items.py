"""Items of billing: their attributes keep the names and values that earlier releases wrote."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from services.billing.catalog.domain import BilledMeter
from services.billing.customers.domain.customer import BillingMode, Customer
from services.billing.customers.domain.period import BillingPeriod
from services.billing.customers.domain.subscription import Subscription, SubscriptionState
from services.billing.customers.table import CustomerTable
from services.billing.invoices.domain import Invoice, InvoiceLine
from services.billing.invoices.table import InvoiceTable
from services.billing.usage_sync.domain import EntryState, HourUsage, SyncEntry
from services.billing.usage_sync.table.entries import SyncLedger
from services.billing.usage_sync.table.usage import UsageTable
from shared.meters import Meter
from shared.plans import Plan
from shared.storage.store import Store
from shared.storage.table import TenantTable
from tests.services.billing.memory import MemoryTable

START, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
START_TEXT, END_TEXT = "2026-11-01T00:00:00.000Z", "2026-12-01T00:00:00.000Z"
PERIOD = BillingPeriod(START, END)
MakeTable = Callable[[Store, str], TenantTable[Any]]

ITEMS: Mapping[str, tuple[MakeTable, object, dict[str, Any]]] = {
    "customer": (
        CustomerTable,
        Customer(
            "acme",
            Plan.PRO,
            BillingMode.STRIPE,
            START,
            rev=2,
            last_event_seq=3,
            stripe_customer_id="cus_1",
            subscription=Subscription(
                "sub_1", SubscriptionState.PAST_DUE, Plan.PRO, START, PERIOD, past_due_since=END, plan_changed_at=START
            ),
        ),
        {
            "PK": "TENANT#acme#BILLING",
            "SK": "CUSTOMER",
            "tenant_id": "acme",
            "plan": "pro",
            "billing": "stripe",
            "created_at": START_TEXT,
            "rev": 2,
            "heard_seq": 3,
            "status": "active",
            "grace_until": None,
            "stripe_customer_id": "cus_1",
            "subscription": {
                "subscription_id": "sub_1",
                "state": "past_due",
                "plan": "pro",
                "started_at": START_TEXT,
                "period_start": START_TEXT,
                "period_end": END_TEXT,
                "next_plan": None,
                "ended_at": None,
                "failing_since": END_TEXT,
                "counts_since": START_TEXT,
            },
        },
    ),
    "invoice": (
        InvoiceTable,
        Invoice(
            "in_1",
            None,
            "draft",
            "usd",
            5,
            1,
            PERIOD,
            START,
            None,
            (InvoiceLine("il_1", "base", "Base", None, 5, PERIOD, proration=False),),
            credited_cents=1,
            rev=1,
        ),
        {
            "PK": "TENANT#acme#BILLING#INVOICES",
            "SK": "in_1",
            "number": None,
            "status": "draft",
            "currency": "usd",
            "amount_cents": 5,
            "attempts": 1,
            "period_start": START_TEXT,
            "period_end": END_TEXT,
            "created_at": START_TEXT,
            "hosted_url": None,
            "credited_cents": 1,
            "lines": [
                {
                    "line_id": "il_1",
                    "item": "base",
                    "description": "Base",
                    "quantity": None,
                    "amount_cents": 5,
                    "period_start": START_TEXT,
                    "period_end": END_TEXT,
                    "proration": False,
                }
            ],
            "rev": 1,
        },
    ),
    "entry": (
        SyncLedger,
        SyncEntry("acme", BilledMeter.TOKENS_IN, START, 0, 7, START, carried=False, state=EntryState.PENDING),
        {
            "PK": "TENANT#acme#BILLING#SYNC#2026-11",
            "SK": "2026-11-01T00#acme:tokens_in:2026-11-01T00:0",
            "tenant_id": "acme",
            "meter": "tokens_in",
            "hour": START_TEXT,
            "rev": 0,
            "quantity": 7,
            "stamped_at": START_TEXT,
            "carried": False,
            "state": "pending",
            "first_sent_at": None,
            "reason": None,
            "attempts": 0,
        },
    ),
    "hour": (
        UsageTable,
        HourUsage(START, 1, {Meter.TOKENS_IN: 7}, events=2),
        {
            "PK": "TENANT#acme#BILLING#USAGE#2026-11",
            "SK": "2026-11-01T00#000001",
            "meters": {"tokens_in": 7},
            "events": 2,
            "booked": False,
        },
    ),
}


def without_none(value: Any) -> Any:  # noqa: ANN401 — any attribute
    """Return a value without the entries that are None."""
    if isinstance(value, list):
        return [without_none(entry) for entry in value]  # pyright: ignore[reportUnknownVariableType] — any attribute
    if isinstance(value, dict):
        return {name: without_none(entry) for name, entry in value.items() if entry is not None}  # pyright: ignore[reportUnknownVariableType] — any attribute
    return value


@pytest.mark.parametrize("name", ITEMS)
def test_of_earlier_releases_are_read_and_written_alike(name: str) -> None:
    make, record, item = ITEMS[name]
    table = make(MemoryTable().store, "acme")
    assert table.decode(item) == record
    assert table.item(record) == without_none(item)
    assert table.decode(table.item(record)) == record
