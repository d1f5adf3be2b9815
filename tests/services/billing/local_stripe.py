"""Billing on the local Stripe, with a table in memory, the real gateway, and validated traffic."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from services.billing.catalog.gateway import StripeCatalogGateway
from services.billing.catalog.operations import set_up
from services.billing.customers.domain.customer import Customer, new_customer
from services.billing.customers.operations import get_customer
from services.billing.customers.table import CustomerTable
from services.billing.stripe_api.gateway.client import make_client
from services.billing.stripe_webhooks.gateway import StripeBillingGateway
from services.billing.stripe_webhooks.operations import handle, receive
from services.billing.subscriptions.domain import CheckoutOrder
from services.billing.subscriptions.operations import start_checkout
from services.billing.usage_sync.domain import HourUsage
from services.billing.usage_sync.operations.booking import ingest_hour
from shared.meters import Meter
from shared.plans import Plan
from shared.storage.store import Store
from tests.sandbox.stripe.servers import KEYS, Running, running
from tests.services.billing.fakes import FakeInbox
from tests.services.billing.memory import MemoryTable
from tests.services.billing.tenants import created

TENANT = "demo-org"
GOOD, BAD_LATER = "4242424242424242", "4000000000000341"
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class StripeWorld:
    """One tenant, and a local Stripe with the price list."""

    local: Running
    table: MemoryTable = field(default_factory=MemoryTable)
    handled: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        client = make_client(KEYS.api_key, api_base=self.local.url)
        self.gateway = StripeBillingGateway(client)
        self.catalog = StripeCatalogGateway(client)
        set_up(self.catalog)
        CustomerTable(self.store, TENANT).create(new_customer(created(TENANT, plan=Plan.FREE)))

    @property
    def store(self) -> Store:
        """Return the slice."""
        return self.table.store

    @property
    def now(self) -> datetime:
        """Return the time at Stripe."""
        return datetime.fromtimestamp(int(self.local.control("health")["now"]), UTC)

    @property
    def customer(self) -> Customer:
        """Return the tenant's customer record."""
        return get_customer(self.store, TENANT)

    def checkout(self, plan: Plan = Plan.PRO, *, key: str | None = None) -> str:
        """Open a checkout page and return its URL."""
        order = CheckoutOrder(TENANT, plan, "http://localhost:3000/paid", "http://localhost:3000/left")
        return start_checkout(self.store, self.gateway, order, key=key, now=self.now).url

    def pay(self, url: str, *, number: str = GOOD) -> None:
        """Submit the form of a checkout page."""
        body = urllib.parse.urlencode({"action": "pay", "number": number}).encode()
        request = urllib.request.Request(url, data=body)  # noqa: S310 — our own server
        # The page redirects to the front end, which does not run here.
        with suppress(urllib.error.URLError), _DIRECT.open(request, timeout=10):
            return

    def subscribe(self, plan: Plan = Plan.PRO, *, number: str = GOOD) -> None:
        """Pay a checkout page, and handle its webhooks."""
        self.pay(self.checkout(plan), number=number)
        self.handle_webhooks()

    def handle_webhooks(self) -> None:
        """Handle all new webhooks."""
        for event in self.local.events():
            if event["id"] not in self.handled:
                self.handled.add(event["id"])
                self.deliver(event)

    def deliver(self, event: dict[str, Any]) -> None:
        """Receive and handle one webhook."""
        inbox = FakeInbox()
        receive(self.store, inbox, json.dumps(event), now=self.now)
        for event_id in inbox.event_ids:
            handle(self.store, self.gateway, event_id, now=self.now)

    def advance(self, seconds: int) -> None:
        """Advance Stripe's clock, and handle the webhooks."""
        self.local.control("clock", {"advance_s": seconds})
        self.handle_webhooks()

    def close_hour(self, hour: datetime, *, rev: int = 0, **meters: int) -> None:
        """Ingest a closed hour of the tenant."""
        usage = HourUsage(hour, rev, {Meter(name): amount for name, amount in meters.items()}, events=1)
        ingest_hour(self.store, self.gateway, TENANT, usage, now=self.now)


@contextmanager
def stripe_world() -> Generator[StripeWorld]:
    """Yield a new world; at its end, check all traffic against Stripe's API description."""
    with running() as local:
        yield StripeWorld(local)
