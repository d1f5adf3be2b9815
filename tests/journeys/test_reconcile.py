"""A tenant that pays, as `make demo` shows it; and its books, broken and put right by the command."""

import json
import subprocess
from typing import Any

import pytest
import stripe

from cli.api import send
from cli.demo.billing import BillingDemo, BillingDemoContext
from cli.demo.wiring import billing_context
from infra.local.paths import ROOT
from services.metering.table import SLICE as USAGE
from services.runs.table import SLICE as RUNS
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.transaction import PRESENT, Expression
from tests.mesh import PLATFORM_ADMIN, Mesh

pytestmark = pytest.mark.mesh


@pytest.fixture
def context(mesh: Mesh) -> BillingDemoContext:
    """A tenant of its own."""
    return billing_context(mesh.target, send_and_print=send)


def reconcile(mesh: Mesh, tenant_id: str, *options: str) -> tuple[int, dict[str, Any]]:
    """The command's exit code, and what it says."""
    command = [str(ROOT / "ainexus"), "reconcile", "--tenant", tenant_id, "--json", *options]
    done = subprocess.run(command, env=mesh.environ, capture_output=True, text=True, check=False)  # noqa: S603 — our own
    return done.returncode, json.loads(done.stdout)


def places(found: dict[str, Any]) -> set[str]:
    """Where something is wrong."""
    return {one["place"] for one in found["drift"]}


def change(mesh: Mesh, store: Store, key: Key, **numbers: int) -> None:
    """Tamper with an item."""
    added = Expression("ADD " + ", ".join(f"#{name} :{name}" for name in numbers), numbers)
    assert store.update(key, added, when=PRESENT), mesh.outputs


def break_our_books(mesh: Mesh, tenant_id: str, *, month: str) -> None:
    """Raise a counter and take from a budget."""
    usage = Store(mesh.clients.dynamodb, table="ainexus-local-usage", owned=USAGE)
    change(mesh, usage, Key(USAGE.key(tenant_id, "MONTHS"), f"TOTAL#{month}"), tokens_in=1_000)
    entities = Store(mesh.clients.dynamodb, table="ainexus-local-entities", owned=RUNS)
    change(mesh, entities, Key(RUNS.key(tenant_id, "BUDGET", month), "BUDGET"), tokens_left=-77)


def charge_too_much(mesh: Mesh, customer: str, *, at: int) -> None:
    """Let Stripe have usage that we know nothing of."""
    local = mesh.target.mesh.stripe
    assert local.endpoint
    client = stripe.StripeClient(local.keys.api_key, base_addresses={"api": local.endpoint})
    payload = {"stripe_customer_id": customer, "value": "1000"}
    client.v1.billing.meter_events.create({"event_name": "ainexus_tokens_in", "payload": payload, "timestamp": at})


class TestReconcile:
    def test_a_payers_books_are_broken_put_right_and_billed_to_the_last_token(
        self, mesh: Mesh, context: BillingDemoContext
    ) -> None:
        demo, now = BillingDemo(context, title=lambda _: None, note=lambda _: None), context.utc_now()
        customer = demo.subscribe()
        ledger = demo.use()
        assert reconcile(mesh, context.tenant)[0] == 0
        break_our_books(mesh, context.tenant, month=f"{now:%Y-%m}")
        charge_too_much(mesh, customer, at=int(now.timestamp()) - 3600)
        code, found = reconcile(mesh, context.tenant)
        assert (code, places(found)) == (1, {"month", "budget", "stripe"})
        of_billing = mesh.call("GET", "/v1/admin/billing/reconcile?limit=100", user=PLATFORM_ADMIN).body
        assert [one["place"] for one in of_billing["drift"] if one["tenant_id"] == context.tenant] == ["stripe"]
        code, found = reconcile(mesh, context.tenant, "--repair")
        assert (code, found["drift"]) == (0, [])
        assert len(found["repaired"]) == 4
        assert demo.be_billed(customer, ledger)["status"] == "paid"
        demo.fail_and_pay(customer)
        assert reconcile(mesh, context.tenant)[0] == 0
