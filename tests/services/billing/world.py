"""The service with a table and a Stripe in memory."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.billing.domain.cost import Period
from services.billing.domain.customer import Customer, customer_of, linked
from services.billing.domain.subscription import Subscription
from services.billing.domain.usage import Entry, EntryState, HourUsage
from services.billing.gateways.fake_payments import FakePayments
from services.billing.operations.customers import get_customer, refresh_subscription
from services.billing.operations.usage import take_in
from services.billing.table.customers import add_customer
from services.billing.table.entries import entries_between
from shared.meters import Meter
from shared.plans import Plan
from shared.storage.store import Store
from tests.services.billing.memory import MemoryTable
from tests.services.billing.subscriptions import STARTED, subscription
from tests.services.billing.tenants import created

TENANT = "demo-org"
CUSTOMER_ID = f"cus_{TENANT}"


@dataclass
class World:
    """One tenant with its counterpart at Stripe."""

    table: MemoryTable = field(default_factory=MemoryTable)
    stripe: FakePayments = field(default_factory=FakePayments)

    def __post_init__(self) -> None:
        self.stripe.tenants[CUSTOMER_ID] = TENANT
        add_customer(self.store, linked(customer_of(created(TENANT, plan=Plan.FREE)), CUSTOMER_ID))

    @property
    def store(self) -> Store:
        """The slice."""
        return self.table.store

    @property
    def customer(self) -> Customer:
        """The tenant's record."""
        return get_customer(self.store, TENANT)

    def subscribe(self, *found: Subscription, now: datetime = STARTED) -> None:
        """Let Stripe have these subscriptions, and the service know."""
        self.stripe.subscriptions[CUSTOMER_ID] = list(found or [subscription()])
        refresh_subscription(self.store, self.stripe, TENANT, now=now)

    def add(self, *tenants: str) -> None:
        """Let there be other paying tenants."""
        for tenant_id in tenants:
            customer_id = f"cus_{tenant_id}"
            self.stripe.tenants[customer_id] = tenant_id
            add_customer(self.store, linked(customer_of(created(tenant_id, plan=Plan.FREE)), customer_id))
            self.stripe.subscriptions[customer_id] = [subscription(subscription_id=f"sub_{tenant_id}")]
            refresh_subscription(self.store, self.stripe, tenant_id, now=STARTED)

    def use(self, hour: datetime, *, rev: int = 0, now: datetime, **meters: int) -> None:
        """Let metering have closed an hour."""
        self.use_of(TENANT, hour, rev=rev, now=now, **meters)

    def use_of(self, tenant: str, hour: datetime, *, rev: int = 0, now: datetime, **meters: int) -> None:
        """Let metering have closed an hour of another tenant."""
        usage = HourUsage(hour, rev, {Meter(name): amount for name, amount in meters.items()}, events=1)
        take_in(self.store, self.stripe, tenant, usage, now=now)

    def ledger(self, tenant: str = TENANT) -> list[Entry]:
        """The whole sync ledger."""
        period = Period(STARTED - timedelta(days=60), STARTED + timedelta(days=120))
        return list(entries_between(self.store, tenant, period))

    def states(self, tenant: str = TENANT) -> dict[str, EntryState]:
        """The state of each meter event."""
        return {entry.identifier: entry.state for entry in self.ledger(tenant)}

    def counted(self) -> dict[str, int]:
        """What Stripe has counted, by identifier."""
        return {identifier: entry.quantity for identifier, (_, entry) in self.stripe.counted.items()}
