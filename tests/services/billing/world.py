"""Billing with a table and a Stripe in memory."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.billing.customers.domain.customer import Customer, link_to_stripe, new_customer
from services.billing.customers.domain.period import BillingPeriod
from services.billing.customers.domain.subscription import Subscription
from services.billing.customers.operations import get_customer
from services.billing.customers.table import CustomerTable
from services.billing.subscriptions.operations import refresh_subscription
from services.billing.usage_sync.domain import EntryState, HourUsage, SyncEntry
from services.billing.usage_sync.operations.booking import ingest_hour
from services.billing.usage_sync.table.entries import SyncLedger
from shared.meters import Meter
from shared.plans import Plan
from shared.storage.store import Store
from tests.services.billing.fakes import FakePayments
from tests.services.billing.memory import MemoryTable
from tests.services.billing.stripe_subscriptions import STARTED, subscription
from tests.services.billing.tenants import created

TENANT = "demo-org"
CUSTOMER_ID = f"cus_{TENANT}"


@dataclass
class BillingWorld:
    """One tenant with its counterpart at Stripe."""

    table: MemoryTable = field(default_factory=MemoryTable)
    stripe: FakePayments = field(default_factory=FakePayments)

    def __post_init__(self) -> None:
        self.stripe.tenants[CUSTOMER_ID] = TENANT
        customer = link_to_stripe(new_customer(created(TENANT, plan=Plan.FREE)), CUSTOMER_ID)
        CustomerTable(self.store, TENANT).create(customer)

    @property
    def store(self) -> Store:
        """Return the slice."""
        return self.table.store

    @property
    def customer(self) -> Customer:
        """Return the tenant's customer record."""
        return get_customer(self.store, TENANT)

    def subscribe(self, *found: Subscription, now: datetime = STARTED) -> None:
        """Set the subscriptions at Stripe and refresh the customer."""
        self.stripe.subscriptions[CUSTOMER_ID] = list(found or [subscription()])
        refresh_subscription(self.store, self.stripe, TENANT, now=now)

    def add_tenants(self, *tenants: str) -> None:
        """Add other tenants with a subscription."""
        for tenant_id in tenants:
            customer_id = f"cus_{tenant_id}"
            self.stripe.tenants[customer_id] = tenant_id
            customer = link_to_stripe(new_customer(created(tenant_id, plan=Plan.FREE)), customer_id)
            CustomerTable(self.store, tenant_id).create(customer)
            self.stripe.subscriptions[customer_id] = [subscription(subscription_id=f"sub_{tenant_id}")]
            refresh_subscription(self.store, self.stripe, tenant_id, now=STARTED)

    def close_hour(self, hour: datetime, *, rev: int = 0, now: datetime, **meters: int) -> None:
        """Ingest a closed hour of the tenant."""
        self.close_hour_of(TENANT, hour, rev=rev, now=now, **meters)

    def close_hour_of(self, tenant: str, hour: datetime, *, rev: int = 0, now: datetime, **meters: int) -> None:
        """Ingest a closed hour of a tenant."""
        usage = HourUsage(hour, rev, {Meter(name): amount for name, amount in meters.items()}, events=1)
        ingest_hour(self.store, self.stripe, tenant, usage, now=now)

    def ledger(self, tenant: str = TENANT) -> list[SyncEntry]:
        """Return all entries of the sync ledger."""
        period = BillingPeriod(STARTED - timedelta(days=60), STARTED + timedelta(days=120))
        return list(SyncLedger(self.store, tenant).between(period))

    def states(self, tenant: str = TENANT) -> dict[str, EntryState]:
        """Return the state of each meter event by its identifier."""
        return {entry.identifier: entry.state for entry in self.ledger(tenant)}

    def counted(self) -> dict[str, int]:
        """Return the quantities that Stripe has counted, by identifier."""
        return {identifier: entry.quantity for identifier, (_, entry) in self.stripe.meter_events.items()}
