"""A paying tenant, as in `make demo`. The command reconciles its records after they are tampered with."""

import json
import subprocess
from typing import Any

import pytest
import stripe

from cli.api import send
from cli.demo.billing import BillingDemo, BillingDemoContext
from cli.demo.wiring import billing_context
from infra.local.paths import ROOT
from services.metering.partitions import SLICE as USAGE
from services.runs.partitions import SLICE as RUNS
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.transaction import PRESENT, Expression
from tests.mesh import PLATFORM_ADMIN, Mesh

pytestmark = pytest.mark.mesh


@pytest.fixture
def context(mesh: Mesh) -> BillingDemoContext:
    """Return the context of a billing demo with a separate tenant."""
    return billing_context(mesh.target, send_and_print=send)


def reconcile(mesh: Mesh, tenant_id: str, *options: str) -> tuple[int, dict[str, Any]]:
    """Run the command, and return its exit code and its output."""
    command = [str(ROOT / "ainexus"), "reconcile", "--tenant", tenant_id, "--json", *options]
    completed = subprocess.run(command, env=mesh.environ, capture_output=True, text=True, check=False)  # noqa: S603 — our own
    return completed.returncode, json.loads(completed.stdout)


def drift_places(found: dict[str, Any]) -> set[str]:
    """Return the locations of the drifts."""
    return {one["place"] for one in found["drift"]}


def add_to_item(mesh: Mesh, store: Store, key: Key, **numbers: int) -> None:
    """Add these numbers to an item's attributes."""
    added = Expression("ADD " + ", ".join(f"#{name} :{name}" for name in numbers), numbers)
    assert store.update(key, added, when=PRESENT), mesh.outputs


def create_drift(mesh: Mesh, tenant_id: str, *, month: str) -> None:
    """Increase a counter and decrease a budget."""
    usage = Store(mesh.clients.dynamodb, table="ainexus-local-usage", owned=USAGE)
    add_to_item(mesh, usage, Key(USAGE.key(tenant_id, "MONTHS"), f"TOTAL#{month}"), tokens_in=1_000)
    entities = Store(mesh.clients.dynamodb, table="ainexus-local-entities", owned=RUNS)
    add_to_item(mesh, entities, Key(RUNS.key(tenant_id, "BUDGET", month), "BUDGET"), tokens_left=-77)


def report_extra_usage(mesh: Mesh, customer: str, *, at: int) -> None:
    """Send usage to Stripe that billing has not recorded."""
    local = mesh.target.mesh.stripe
    assert local.endpoint
    client = stripe.StripeClient(local.keys.api_key, base_addresses={"api": local.endpoint})
    payload = {"stripe_customer_id": customer, "value": "1000"}
    client.v1.billing.meter_events.create({"event_name": "ainexus_tokens_in", "payload": payload, "timestamp": at})


class TestReconcile:
    def test_repairs_all_drift_and_bills_every_token(self, mesh: Mesh, context: BillingDemoContext) -> None:
        demo, now = BillingDemo(context, title=lambda _: None, note=lambda _: None), context.utc_now()
        customer = demo.subscribe()
        ledger = demo.use()
        assert reconcile(mesh, context.tenant)[0] == 0
        create_drift(mesh, context.tenant, month=f"{now:%Y-%m}")
        report_extra_usage(mesh, customer, at=int(now.timestamp()) - 3600)
        code, found = reconcile(mesh, context.tenant)
        assert (code, drift_places(found)) == (1, {"month", "budget", "stripe"})
        billing_report = mesh.call("GET", "/v1/admin/billing/reconcile?limit=100", user=PLATFORM_ADMIN).body
        assert [one["place"] for one in billing_report["drift"] if one["tenant_id"] == context.tenant] == ["stripe"]
        code, found = reconcile(mesh, context.tenant, "--repair")
        assert (code, found["drift"]) == (0, [])
        assert len(found["repaired"]) == 4
        assert demo.be_billed(customer, ledger)["status"] == "paid"
        demo.fail_and_pay(customer)
        assert reconcile(mesh, context.tenant)[0] == 0
