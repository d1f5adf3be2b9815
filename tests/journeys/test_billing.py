"""Billing from the checkout to the last invoice, on the mesh and the local Stripe."""

import json
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.api import ApiRequest, send
from services.billing.customers.domain.customer import link_to_stripe, new_customer
from services.billing.customers.operations import get_customer
from services.billing.customers.table import CustomerTable
from services.billing.partitions import SLICE as BILLING
from services.billing.stripe_webhooks.operations import handle, receive
from shared.ids import new_id
from shared.plans import Plan
from shared.storage.items import Wire
from shared.storage.store import Store
from tests.journeys.checkout import BillingTenant, new_checkout
from tests.journeys.steps import wait_for
from tests.mesh import Mesh
from tests.services.billing.fakes import FakeInbox, FakePayments
from tests.services.billing.stripe_subscriptions import ENDS
from tests.services.billing.stripe_webhooks.test_order import LIFE
from tests.services.billing.stripe_webhooks.test_webhooks import webhook
from tests.services.billing.tenants import created
from tests.tables import make_table

pytestmark = pytest.mark.mesh

HOUR = timedelta(hours=1)
LIFECYCLES = int(os.environ.get("PROOF_LIVES", "25"))
"""The number of simulated subscriptions whose webhooks are delivered. `make prove` has 200."""
STRIPE_CLOCK_LAG_HOURS = 6
DAY_S = 86_400


@pytest.fixture(name="checkout")
def make_checkout(mesh: Mesh) -> Iterator[BillingTenant]:
    """Yield a new free tenant, with the price list at Stripe."""
    with new_checkout(mesh) as checkout:
        yield checkout


class TestBillingLifecycle:
    def test_bills_usage_after_checkout_and_recovers_from_a_failed_payment(self, checkout: BillingTenant) -> None:
        assert checkout.wait_for_plan(plan="free", billing="manual")
        checkout.set_clock(datetime.now(UTC) - STRIPE_CLOCK_LAG_HOURS * HOUR)
        response = checkout.call("POST", "/checkout", {"plan": "pro"})
        assert response.status == 201, response
        checkout.pay(response.body["checkout"]["url"])
        checkout.wait_for_plan(plan="pro", billing="stripe", status="active")
        checkout.control("clock", advance_s=STRIPE_CLOCK_LAG_HOURS * 3600)
        self._report_usage(checkout)
        self._assert_renewal(checkout)
        self._fail_and_recover_payment(checkout)

    def _report_usage(self, checkout: BillingTenant) -> None:
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - STRIPE_CLOCK_LAG_HOURS * HOUR
        checkout.close_hour(start - HOUR, tokens_in=1_000_000)
        checkout.close_hour(start, tokens_in=1_000_000)
        checkout.close_hour(start + HOUR, tokens_in=1_234_567, tokens_out=89)
        checkout.close_hour(start + 2 * HOUR, tokens_in=3)
        wait_for(
            lambda: {"base": 1, "tokens_in": 1_234_570, "tokens_out": 89}.items() <= checkout.quantities().items(),
            description="the usage since the first full hour is counted",
        )

    def _assert_renewal(self, checkout: BillingTenant) -> None:
        checkout.control("clock", advance_s=33 * DAY_S)

        def renewal() -> dict[str, Any] | None:
            invoices = checkout.call("GET", "/invoices").body["invoices"]
            return invoices[0] if len(invoices) == 2 and invoices[0]["status"] == "paid" else None

        invoice_id = wait_for(renewal, description="the renewal is paid")["invoice_id"]
        invoice = checkout.call("GET", f"/invoices/{invoice_id}").body["invoice"]
        lines = {line["item"]: line for line in invoice["lines"] if line["quantity"]}
        assert {name: line["quantity"] for name, line in lines.items()} == {
            "base": 1,
            "tokens_in": 1_234_570,
            "tokens_out": 89,
        }
        assert sum(hour["quantity"] for hour in lines["tokens_in"]["hours"]) == 1_234_570
        assert invoice["amount_cents"] == 2900 + 123

    def _fail_and_recover_payment(self, checkout: BillingTenant) -> None:
        checkout.control("settings", decline_payments=-1)
        checkout.control("clock", advance_s=31 * DAY_S)
        past_due = checkout.wait_for_plan(subscription_status="past_due")
        assert (past_due["status"], past_due["plan"]) == ("active", "pro")
        assert past_due["grace_until"]
        checkout.control("clock", advance_s=25 * DAY_S)
        checkout.wait_for_plan(status="suspended_by_billing", plan="pro")
        checkout.control("settings", decline_payments=0)
        [customer] = [
            event["data"]["object"]
            for event in self._stripe_events(checkout)
            if event["type"] == "customer.subscription.created"
            and event["data"]["object"]["metadata"].get("tenant_id") == checkout.tenant_id
        ]
        checkout.control(f"subscriptions/{customer['id']}", status="active")
        checkout.wait_for_plan(status="active", plan="pro", grace_until=None)

    def _stripe_events(self, checkout: BillingTenant) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = send(
            ApiRequest("GET", f"{checkout.mesh.outputs['StripeEndpoint']}/_local/events")
        ).body["events"]
        return found


class TestUnsignedWebhook:
    def test_is_refused(self, mesh: Mesh) -> None:
        response = mesh.call(
            "POST", "/v1/webhooks/stripe", webhook(), user=None, headers={"Stripe-Signature": "t=1,v1=00"}
        )
        assert (response.status, response.body["error"]) == (400, "BadRequest")


class Crashed(BaseException):
    """The process crashed."""


class CrashingDynamoDB:
    """A client whose process sometimes crashes before or after a call."""

    def __init__(self, client: Any, rng: random.Random) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._rng = rng

    def _call(self, name: str, arguments: Wire) -> Any:  # noqa: ANN401 — as botocore's
        draw = self._rng.random()
        if draw < 0.05:
            raise Crashed
        response = getattr(self._client, name)(**arguments)
        if draw > 0.95:
            raise Crashed
        return response

    def get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Get one item."""
        return self._call("get_item", arguments)

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Get several items."""
        return self._call("batch_get_item", arguments)

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Query a partition."""
        return self._call("query", arguments)

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Update one item."""
        return self._call("update_item", arguments)

    def batch_write_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Delete several items."""
        return self._call("batch_write_item", arguments)

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Write several items in one transaction."""
        return self._call("transact_write_items", arguments)


class TestWebhookOrder:
    def test_any_order_with_crashes_leads_to_the_newest_state(self, mesh: Mesh) -> None:
        table = f"orders-{new_id('t', datetime.now(UTC)).lower()}"
        make_table(mesh.clients.dynamodb, table)
        with ThreadPoolExecutor(4) as pool:
            pending = [pool.submit(self._run_lifecycle, mesh, table, seed) for seed in range(LIFECYCLES)]
            states = [one.result() for one in pending]
        assert len(states) == LIFECYCLES
        assert set(states) == {LIFE[-1].tenant}

    def _run_lifecycle(self, mesh: Mesh, table: str, seed: int) -> tuple[str, str, str, str | None]:
        # The random numbers need not be secret: the same seed gives the same events.
        rng = random.Random(seed)  # noqa: S311
        tenant_id, customer_id = f"life-{seed}", f"cus_{seed}"
        store = Store(mesh.clients.dynamodb, table=table, owned=BILLING)
        crashing_store = Store(CrashingDynamoDB(mesh.clients.dynamodb, rng), table=table, owned=BILLING)
        customer = link_to_stripe(new_customer(created(tenant_id, plan=Plan.FREE)), customer_id)
        CustomerTable(store, tenant_id).create(customer)
        stripe = FakePayments(tenants={customer_id: tenant_id})
        order = rng.sample(range(len(LIFE)), len(LIFE))
        newest = 0
        for number in [*order, *rng.choices(order, k=3)]:
            newest = max(newest, number)
            stripe.subscriptions[customer_id] = [LIFE[newest].at_stripe]
            body = json.dumps(
                webhook(
                    f"evt_{seed}_{number}",
                    LIFE[number].kind,
                    subject={"object": "subscription", "id": f"sub_{seed}", "customer": customer_id},
                )
            )
            self._deliver(crashing_store, stripe, body)
            current = get_customer(store, tenant_id)
            assert (current.plan, current.billing, current.status) == LIFE[newest].tenant[:3], (seed, order)
        current = get_customer(store, tenant_id)
        return current.plan.value, current.billing.value, current.status, None

    def _deliver(self, store: Store, stripe: FakePayments, body: str) -> None:
        """Deliver a webhook as Stripe and the queue do: retry until it is accepted, then until it is handled."""
        inbox = FakeInbox()
        while not inbox.event_ids:
            with suppress(Crashed):
                receive(store, inbox, body, now=ENDS + timedelta(days=2))
                break
        while inbox.event_ids:
            with suppress(Crashed):
                handle(store, stripe, inbox.event_ids[0], now=ENDS + timedelta(days=2))
                inbox.event_ids.pop()
