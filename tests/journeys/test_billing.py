"""From the checkout to the last invoice, on the mesh and the local Stripe."""

import json
import os
import random
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.admin import invoke_command
from cli.api import ApiRequest, ApiResponse, send
from services.billing.domain.customer import customer_of, linked
from services.billing.gateways.fake_payments import FakePayments
from services.billing.gateways.inbox import FakeInbox
from services.billing.operations.customers import get_customer
from services.billing.operations.webhooks import handle, receive
from services.billing.table import SLICE as BILLING
from services.billing.table.customers import add_customer
from services.metering.table import SLICE as USAGE
from services.tenants.operations import tenants
from services.tenants.table import SLICE as TENANTS
from shared.events.envelope import happened
from shared.events.metering import UsageHourClosed
from shared.ids import new_id
from shared.meters import Meter
from shared.plans import Plan
from shared.storage.items import Wire
from shared.storage.store import Store
from shared.storage.transaction import Transaction
from tests.journeys.steps import wait_for
from tests.mesh import PLATFORM_ADMIN, Mesh
from tests.services.billing.subscriptions import ENDS
from tests.services.billing.tenants import created
from tests.services.billing.test_orders import LIFE
from tests.services.billing.test_webhooks import webhook
from tests.tables import make_table

pytestmark = pytest.mark.mesh

HOUR = timedelta(hours=1)
LIVES = int(os.environ.get("PROOF_LIVES", "25"))
"""Of webhooks; `make prove` has 200 of them."""
HOURS_BACK = 6
DAY_S = 86_400
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Till:
    """One tenant, its billing API, and the local Stripe behind it."""

    mesh: Mesh
    tenant_id: str

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> ApiResponse:
        """Ask the billing API."""
        return self.mesh.call(method, f"/v1/tenants/{self.tenant_id}/billing{path}", body, user=PLATFORM_ADMIN)

    def plan(self) -> dict[str, Any]:
        """The plan as it is shown."""
        return self.call("GET", "/plan").body["plan"]

    def wait_for_plan(self, **expected: Any) -> dict[str, Any]:  # noqa: ANN401 — any JSON
        """The plan when it shows all of this."""

        def there() -> dict[str, Any] | None:
            found = self.plan()
            return found if all(found[name] == value for name, value in expected.items()) else None

        return wait_for(there, what=f"the plan shows {expected}")

    def control(self, path: str, **given: Any) -> Any:  # noqa: ANN401 — any JSON
        """Turn a knob of the local Stripe."""
        answer = send(ApiRequest("POST", f"{self.mesh.outputs['StripeEndpoint']}/_local/{path}", given))
        assert answer.status == 200, answer
        return answer.body

    def pay(self, url: str) -> None:
        """Do what a person does on a page; it sends on to the front end, which does not run here."""
        body = urllib.parse.urlencode({"action": "pay", "number": "4242424242424242"}).encode()
        request = urllib.request.Request(url, data=body)  # noqa: S310 — the local Stripe's
        with suppress(urllib.error.URLError), _DIRECT.open(request, timeout=10):
            return

    def close_hour(self, hour: datetime, **meters: int) -> None:
        """Let metering say what was used in an hour."""
        said = UsageHourClosed(hour=hour, meters={Meter(name): amount for name, amount in meters.items()}, events=1)
        event_id = f"{self.tenant_id}:{hour:%Y-%m-%dT%H}:closed"
        transaction = Transaction(self.tenant_id)
        transaction.emit(
            happened(said, event_id=event_id, tenant_id=self.tenant_id, subject=str(hour), seq=1, at=hour + HOUR)
        )
        Store(self.mesh.clients.dynamodb, table="ainexus-local-usage", owned=USAGE).commit(transaction)

    def quantities(self) -> dict[str, int]:
        """What is counted in the current period, by item."""
        lines = self.call("GET", "/usage").body["usage"]["so_far"]["lines"]
        return {line["item"]: line["quantity"] for line in lines}


@pytest.fixture
def till(mesh: Mesh) -> Iterator[Till]:
    """A free tenant that was made just now, and the price list.

    It goes at the end: billing hears of usage here that metering has never counted, and reconciling would find it.
    """
    invoke_command(mesh.target, "setup", service="billing")
    now = datetime.now(UTC)
    tenant_id = f"payer-{new_id('t', now)[-10:].lower()}"
    store = Store(mesh.clients.dynamodb, table="ainexus-local-tenants", owned=TENANTS)
    tenants.create_tenant(store, tenant_id, name="Payer", plan=Plan.FREE, now=now)
    yield Till(mesh, tenant_id)
    assert mesh.call("DELETE", f"/v1/admin/tenants/{tenant_id}", user=PLATFORM_ADMIN).status == 204


class TestFromCheckoutToTheLastInvoice:
    def test_a_free_tenant_pays_uses_is_billed_fails_and_pays_again(self, till: Till) -> None:
        assert till.wait_for_plan(plan="free", billing="manual")
        # The mesh may be a kept one, whose Stripe is months ahead.
        ahead = int(send(ApiRequest("GET", f"{till.mesh.outputs['StripeEndpoint']}/_local/health")).body["now"])
        till.control("clock", advance_s=int(datetime.now(UTC).timestamp()) - ahead - HOURS_BACK * 3600)
        opened = till.call("POST", "/checkout", {"plan": "pro"})
        assert opened.status == 201, opened
        till.pay(opened.body["checkout"]["url"])
        till.wait_for_plan(plan="pro", billing="stripe", status="active")
        till.control("clock", advance_s=HOURS_BACK * 3600)
        self._use(till)
        self._is_billed(till)
        self._fails_and_pays(till)

    def _use(self, till: Till) -> None:
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - HOURS_BACK * HOUR
        till.close_hour(start - HOUR, tokens_in=1_000_000)
        till.close_hour(start, tokens_in=1_000_000)
        till.close_hour(start + HOUR, tokens_in=1_234_567, tokens_out=89)
        till.close_hour(start + 2 * HOUR, tokens_in=3)
        wait_for(
            lambda: {"base": 1, "tokens_in": 1_234_570, "tokens_out": 89}.items() <= till.quantities().items(),
            what="the usage since the first full hour is counted",
        )

    def _is_billed(self, till: Till) -> None:
        till.control("clock", advance_s=33 * DAY_S)

        def renewal() -> dict[str, Any] | None:
            invoices = till.call("GET", "/invoices").body["invoices"]
            return invoices[0] if len(invoices) == 2 and invoices[0]["status"] == "paid" else None

        invoice_id = wait_for(renewal, what="the renewal is paid")["invoice_id"]
        invoice = till.call("GET", f"/invoices/{invoice_id}").body["invoice"]
        lines = {line["item"]: line for line in invoice["lines"] if line["quantity"]}
        assert {name: line["quantity"] for name, line in lines.items()} == {
            "base": 1,
            "tokens_in": 1_234_570,
            "tokens_out": 89,
        }
        assert sum(hour["quantity"] for hour in lines["tokens_in"]["hours"]) == 1_234_570
        assert invoice["amount_cents"] == 2900 + 123

    def _fails_and_pays(self, till: Till) -> None:
        till.control("settings", decline_payments=-1)
        till.control("clock", advance_s=31 * DAY_S)
        failing = till.wait_for_plan(subscription_status="past_due")
        assert (failing["status"], failing["plan"]) == ("active", "pro")
        assert failing["grace_until"]
        till.control("clock", advance_s=25 * DAY_S)
        till.wait_for_plan(status="suspended_by_billing", plan="pro")
        till.control("settings", decline_payments=0)
        [customer] = [
            event["data"]["object"]
            for event in self._events(till)
            if event["type"] == "customer.subscription.created"
            and event["data"]["object"]["metadata"].get("tenant_id") == till.tenant_id
        ]
        till.control(f"subscriptions/{customer['id']}", status="active")
        till.wait_for_plan(status="active", plan="pro", grace_until=None)

    def _events(self, till: Till) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = send(
            ApiRequest("GET", f"{till.mesh.outputs['StripeEndpoint']}/_local/events")
        ).body["events"]
        return found


class TestWebhooksOfStrangers:
    def test_are_refused_at_the_door(self, mesh: Mesh) -> None:
        answer = mesh.call(
            "POST", "/v1/webhooks/stripe", webhook(), user=None, headers={"Stripe-Signature": "t=1,v1=00"}
        )
        assert (answer.status, answer.body["error"]) == (400, "BadRequest")


class Died(BaseException):
    """The process ended here."""


class DyingDynamoDB:
    """A client whose process dies now and then, before a call or when it is done."""

    def __init__(self, client: Any, chance: random.Random) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._chance = chance

    def _call(self, name: str, arguments: Wire) -> Any:  # noqa: ANN401 — as botocore's
        fate = self._chance.random()
        if fate < 0.05:
            raise Died
        answer = getattr(self._client, name)(**arguments)
        if fate > 0.95:
            raise Died
        return answer

    def get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """One item."""
        return self._call("get_item", arguments)

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Several items."""
        return self._call("batch_get_item", arguments)

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Items under a key."""
        return self._call("query", arguments)

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Change one."""
        return self._call("update_item", arguments)

    def batch_write_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Delete several."""
        return self._call("batch_write_item", arguments)

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Change several."""
        return self._call("transact_write_items", arguments)


class TestOrders:
    def test_lives_in_any_order_with_crashes_between_the_steps_end_as_they_must(self, mesh: Mesh) -> None:
        table = f"orders-{new_id('t', datetime.now(UTC)).lower()}"
        make_table(mesh.clients.dynamodb, table)
        with ThreadPoolExecutor(4) as pool:
            lives = [pool.submit(self._live, mesh, table, seed) for seed in range(LIVES)]
            ends = [life.result() for life in lives]
        assert len(ends) == LIVES
        assert set(ends) == {LIFE[-1].tenant}

    def _live(self, mesh: Mesh, table: str, seed: int) -> tuple[str, str, str, str | None]:
        # Chance is no secret here: the same seed is the same life.
        chance = random.Random(seed)  # noqa: S311
        tenant_id, customer_id = f"life-{seed}", f"cus_{seed}"
        sound = Store(mesh.clients.dynamodb, table=table, owned=BILLING)
        dying = Store(DyingDynamoDB(mesh.clients.dynamodb, chance), table=table, owned=BILLING)
        add_customer(sound, linked(customer_of(created(tenant_id, plan=Plan.FREE)), customer_id))
        stripe = FakePayments(tenants={customer_id: tenant_id})
        order = chance.sample(range(len(LIFE)), len(LIFE))
        newest = 0
        for number in [*order, *chance.choices(order, k=3)]:
            newest = max(newest, number)
            stripe.subscriptions[customer_id] = [LIFE[newest].at_stripe]
            body = json.dumps(
                webhook(
                    f"evt_{seed}_{number}",
                    LIFE[number].kind,
                    subject={"object": "subscription", "id": f"sub_{seed}", "customer": customer_id},
                )
            )
            self._deliver(dying, stripe, body)
            found = get_customer(sound, tenant_id)
            assert (found.plan, found.billing, found.status) == LIFE[newest].tenant[:3], (seed, order)
        found = get_customer(sound, tenant_id)
        return found.plan.value, found.billing.value, found.status, None

    def _deliver(self, store: Store, stripe: FakePayments, body: str) -> None:
        """As Stripe and the queue do: again until it is taken, and again until it is handled."""
        inbox = FakeInbox()
        while not inbox.event_ids:
            with suppress(Died):
                receive(store, inbox, body, now=ENDS + timedelta(days=2))
                break
        while inbox.event_ids:
            with suppress(Died):
                handle(store, stripe, inbox.event_ids[0], now=ENDS + timedelta(days=2))
                inbox.event_ids.pop()
