"""Checkout helper: a tenant, its billing API, and the local Stripe behind it."""

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cli.admin import invoke_command
from cli.api import ApiRequest, ApiResponse, send
from services.metering.partitions import SLICE as USAGE
from services.tenants.partitions import SLICE as TENANTS
from services.tenants.tenants import operations as tenants
from shared.events.envelope import new_event
from shared.events.metering import UsageHourClosed
from shared.ids import new_id
from shared.meters import Meter
from shared.plans import Plan
from shared.storage.store import Store
from shared.storage.transaction import Transaction
from tests.journeys.steps import wait_for
from tests.mesh import PLATFORM_ADMIN, Mesh

HOUR = timedelta(hours=1)
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class BillingTenant:
    """A tenant, its billing API, and the local Stripe behind it."""

    mesh: Mesh
    tenant_id: str

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> ApiResponse:
        """Call the billing API."""
        return self.mesh.call(method, f"/v1/tenants/{self.tenant_id}/billing{path}", body, user=PLATFORM_ADMIN)

    def plan(self) -> dict[str, Any]:
        """Return the current plan."""
        return self.call("GET", "/plan").body["plan"]

    def wait_for_plan(self, **expected: Any) -> dict[str, Any]:  # noqa: ANN401 — any JSON
        """Wait until the plan has all these values and return it."""

        def matching() -> dict[str, Any] | None:
            plan = self.plan()
            return plan if all(plan[name] == value for name, value in expected.items()) else None

        return wait_for(matching, description=f"the plan shows {expected}")

    def control(self, path: str, **fields: Any) -> Any:  # noqa: ANN401 — any JSON
        """Call a control route of the local Stripe."""
        response = send(ApiRequest("POST", f"{self.mesh.outputs['StripeEndpoint']}/_local/{path}", fields))
        assert response.status == 200, response
        return response.body

    def set_clock(self, at: datetime) -> None:
        """Set the time of the local Stripe, which may be months ahead in a retained mesh."""
        health = send(ApiRequest("GET", f"{self.mesh.outputs['StripeEndpoint']}/_local/health"))
        self.control("clock", advance_s=int(at.timestamp()) - int(health.body["now"]))

    def pay(self, url: str) -> None:
        """Submit a page as a user does. It redirects to the front end, which does not run here."""
        body = urllib.parse.urlencode({"action": "pay", "number": "4242424242424242"}).encode()
        request = urllib.request.Request(url, data=body)  # noqa: S310 — the local Stripe's
        with suppress(urllib.error.URLError), _DIRECT.open(request, timeout=10):
            return

    def close_hour(self, hour: datetime, **meters: int) -> None:
        """Publish metering's event of the usage in an hour."""
        payload = UsageHourClosed(hour=hour, meters={Meter(name): amount for name, amount in meters.items()}, events=1)
        event_id = f"{self.tenant_id}:{hour:%Y-%m-%dT%H}:closed"
        transaction = Transaction(self.tenant_id)
        transaction.emit(
            new_event(payload, event_id=event_id, tenant_id=self.tenant_id, subject=str(hour), seq=1, at=hour + HOUR)
        )
        Store(self.mesh.clients.dynamodb, table="ainexus-local-usage", owned=USAGE).commit(transaction)

    def quantities(self) -> dict[str, int]:
        """Return the usage in the current period by item."""
        lines = self.call("GET", "/usage").body["usage"]["so_far"]["lines"]
        return {line["item"]: line["quantity"] for line in lines}


@contextmanager
def new_checkout(mesh: Mesh) -> Generator[BillingTenant]:
    """Create a free tenant, and the price list at Stripe.

    The tenant is deleted at the end: tests may report usage to billing that metering has never counted, which a
    reconciliation would find.
    """
    invoke_command(mesh.target, "setup", service="billing")
    now = datetime.now(UTC)
    tenant_id = f"billing-{new_id('t', now)[-10:].lower()}"
    store = Store(mesh.clients.dynamodb, table="ainexus-local-tenants", owned=TENANTS)
    tenants.create_tenant(store, tenant_id, name="Billing", plan=Plan.FREE, now=now)
    yield BillingTenant(mesh, tenant_id)
    assert mesh.call("DELETE", f"/v1/admin/tenants/{tenant_id}", user=PLATFORM_ADMIN).status == 204
