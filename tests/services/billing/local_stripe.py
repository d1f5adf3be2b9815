"""The service on the local Stripe: a table in memory, the real gateway, and the wire judged by Stripe's description."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from services.billing.domain.customer import Customer, customer_of
from services.billing.domain.usage import HourUsage
from services.billing.gateways.inbox import FakeInbox
from services.billing.gateways.payments import Order
from services.billing.gateways.stripe_client import make_client
from services.billing.gateways.stripe_payments import StripePayments
from services.billing.gateways.stripe_shelf import StripeShelf
from services.billing.operations.customers import get_customer
from services.billing.operations.plans import start_checkout
from services.billing.operations.setup import set_up
from services.billing.operations.usage import take_in
from services.billing.operations.webhooks import handle, receive
from services.billing.table.customers import add_customer
from shared.meters import Meter
from shared.plans import Plan
from shared.storage.store import Store
from tests.infra_local.stripe.servers import KEYS, Running, running
from tests.services.billing.memory import MemoryTable
from tests.services.billing.tenants import created

TENANT = "demo-org"
GOOD, BAD_LATER = "4242424242424242", "4000000000000341"
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Shop:
    """One tenant, and Stripe with the price list."""

    local: Running
    table: MemoryTable = field(default_factory=MemoryTable)
    handled: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        client = make_client(KEYS.api_key, api_base=self.local.url)
        self.payments = StripePayments(client)
        self.shelf = StripeShelf(client)
        set_up(self.shelf)
        add_customer(self.store, customer_of(created(TENANT, plan=Plan.FREE)))

    @property
    def store(self) -> Store:
        """The slice."""
        return self.table.store

    @property
    def now(self) -> datetime:
        """Stripe's time."""
        return datetime.fromtimestamp(int(self.local.control("health")["now"]), UTC)

    @property
    def customer(self) -> Customer:
        """The tenant's record."""
        return get_customer(self.store, TENANT)

    def checkout(self, plan: Plan = Plan.PRO, *, key: str | None = None) -> str:
        """The URL of a checkout."""
        order = Order(TENANT, plan, "http://localhost:3000/paid", "http://localhost:3000/left")
        return start_checkout(self.store, self.payments, order, key=key, now=self.now).url

    def pay(self, url: str, *, number: str = GOOD) -> None:
        """Do what a person does on a page."""
        body = urllib.parse.urlencode({"action": "pay", "number": number}).encode()
        request = urllib.request.Request(url, data=body)  # noqa: S310 — our own server
        # The page sends the person on to the front end, which does not run here.
        with suppress(urllib.error.URLError), _DIRECT.open(request, timeout=10):
            return

    def subscribe(self, plan: Plan = Plan.PRO, *, number: str = GOOD) -> None:
        """Go through the checkout, and hear of it."""
        self.pay(self.checkout(plan), number=number)
        self.hear()

    def hear(self) -> None:
        """Take in all webhooks that were not handled yet."""
        for event in self.local.events():
            if event["id"] not in self.handled:
                self.handled.add(event["id"])
                self.deliver(event)

    def deliver(self, event: dict[str, Any]) -> None:
        """One webhook."""
        inbox = FakeInbox()
        receive(self.store, inbox, json.dumps(event), now=self.now)
        for event_id in inbox.event_ids:
            handle(self.store, self.payments, event_id, now=self.now)

    def advance(self, seconds: int) -> None:
        """Let time pass at Stripe, and hear of what happened."""
        self.local.control("clock", {"advance_s": seconds})
        self.hear()

    def use(self, hour: datetime, *, rev: int = 0, **meters: int) -> None:
        """Let metering have closed an hour."""
        usage = HourUsage(hour, rev, {Meter(name): amount for name, amount in meters.items()}, events=1)
        take_in(self.store, self.payments, TENANT, usage, now=self.now)


@contextmanager
def shop() -> Generator[Shop]:
    """A shop of its own; at its end nothing may have passed that Stripe's description does not allow."""
    with running() as local:
        yield Shop(local)
