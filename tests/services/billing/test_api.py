"""Plans, costs, invoices and webhooks over HTTP."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Timer
from typing import Any

import pytest

from services.billing import wiring
from services.billing.customers.domain.customer import link_to_stripe, new_customer
from services.billing.customers.domain.period import BillingPeriod
from services.billing.customers.operations import create_customer
from services.billing.customers.table import CustomerTable
from services.billing.functions.api import handler as app
from services.billing.functions.operators import handler as operators
from services.billing.functions.webhook import handler as webhook
from services.billing.invoices.domain import InvoiceLine
from services.billing.invoices.table import InvoiceTable
from services.billing.subscriptions.operations import refresh_subscription
from services.billing.usage_sync.domain import HourUsage
from services.billing.usage_sync.operations.booking import ingest_hour
from shared.aws.clients import own_client
from shared.copies.tenant_access import TenantAccessCopies
from shared.http.token import seal
from shared.meters import Meter
from shared.plans import Plan
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from shared.times import utc_now
from tests.forged_cursors import every_forged_position
from tests.gateway import REQUEST_ID, claims, request
from tests.services.billing.fakes import FakePayments
from tests.services.billing.stripe_subscriptions import ENDS, STARTED, subscription
from tests.services.billing.stripe_webhooks.test_webhooks import SECRET, invoice, signed
from tests.services.billing.stripe_webhooks.test_webhooks import webhook as payload_of
from tests.services.billing.tenants import created
from tests.tenants import tenant_created

BILLING = "/v1/tenants/{tenant_id}/billing"
PRO = {
    "base_cents_per_month": 2900,
    "token_in_nano_usd": 1000,
    "token_out_nano_usd": 2000,
    "storage_gb_month_nano_usd": 100000000,
    "egress_gb_nano_usd": 50000000,
}


def call(
    method: str,
    path: str,
    body: object = None,
    *,
    tenant_id: str = "demo-org",
    role: Role = Role.TENANT_ADMIN,
    **other: Any,  # noqa: ANN401 — of the request
) -> dict[str, Any]:
    """Return the response, with its body as JSON."""
    parameters = {"tenant_id": tenant_id, **other.pop("parameters", {})}
    event = request(method, BILLING + path, path_parameters=parameters, claims=claims(role=role), body=body, **other)
    response = app(event)
    return response | {"json": json.loads(response["body"])}


def add_tenant(store: Store, *, plan: Plan = Plan.PRO, status: Any = "active") -> None:  # noqa: ANN401 — one of the three
    """Create the tenant's copy and customer record."""
    create_customer(store, created(plan=plan))
    TenantAccessCopies(store).keep(tenant_created("demo-org", plan=plan, status=status))


class TestGetPlan:
    def test_returns_the_plan(self, store: Store) -> None:
        add_tenant(store)
        response = call("GET", "/plan", role=Role.ANALYST)
        assert response["statusCode"] == 200
        assert response["json"] == {
            "plan": {
                "plan": "pro",
                "billing": "manual",
                "status": "active",
                "subscription_status": None,
                "grace_until": None,
                "period_start": None,
                "period_end": None,
                "next_plan": None,
                "prices": PRO,
                "proration": None,
            },
            "requestId": REQUEST_ID,
        }

    def test_waits_for_a_tenant_that_was_just_created(self, store: Store) -> None:
        arrival = Timer(0.1, create_customer, (store, created()))
        arrival.start()
        response = call("GET", "/plan")
        arrival.join()
        assert response["statusCode"] == 200

    def test_is_503_for_an_unknown_tenant(self, store: Store) -> None:
        create_customer(store, created("demo-org2"))
        response = call("GET", "/plan")
        assert response["statusCode"] == 503
        assert response["json"]["error"] == "DependencyUnavailable"
        assert response["multiValueHeaders"]["Retry-After"] == ["1"]

    @pytest.mark.parametrize(("tenant_id", "role"), [("demo-org", Role.OBSERVER), ("demo-org2", Role.TENANT_ADMIN)])
    def test_refuses_observers_and_other_tenants(self, store: Store, tenant_id: str, role: Role) -> None:
        create_customer(store, created(tenant_id))
        assert call("GET", "/plan", tenant_id=tenant_id, role=role)["statusCode"] == 403


class TestWithoutStripe:
    def test_refuses_to_change_a_manual_plan(self, store: Store) -> None:
        add_tenant(store)
        response = call("PUT", "/plan", {"plan": "enterprise"})
        assert (response["statusCode"], response["json"]["error"]) == (409, "Conflict")
        assert call("GET", "/plan")["json"]["plan"]["plan"] == "pro"

    @pytest.mark.parametrize(("path", "body"), [("/checkout", {"plan": "pro"}), ("/portal", {})])
    def test_checkout_and_portal_are_unavailable(self, store: Store, path: str, body: dict[str, str]) -> None:
        add_tenant(store)
        response = call("POST", path, body)
        assert (response["statusCode"], response["json"]["error"]) == (503, "DependencyUnavailable")
        assert "not configured" in response["json"]["message"]

    def test_an_empty_patch_changes_nothing(self, store: Store) -> None:
        add_tenant(store)
        assert call("PATCH", "/plan", {})["json"]["plan"]["plan"] == "pro"


class TestRefusals:
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("PUT", "/plan", {"plan": "golden"}),
            ("PUT", "/plan", {"plan": "pro", "coupon": "x"}),
            ("POST", "/checkout", {}),
            ("POST", "/checkout", {"plan": "pro", "success_url": "javascript:alert(1)"}),
            ("POST", "/portal", {"return_url": "nowhere"}),
        ],
    )
    def test_an_invalid_body_is_422(self, store: Store, method: str, path: str, body: dict[str, str]) -> None:
        add_tenant(store)
        assert call(method, path, body)["statusCode"] == 422

    @pytest.mark.parametrize(("method", "path"), [("PUT", "/plan"), ("POST", "/checkout"), ("POST", "/portal")])
    def test_a_developer_is_refused(self, store: Store, method: str, path: str) -> None:
        add_tenant(store)
        assert call(method, path, {"plan": "pro"}, role=Role.DEVELOPER)["statusCode"] == 403

    def test_a_stale_version_is_412(self, store: Store) -> None:
        add_tenant(store)
        assert call("PUT", "/plan", {"plan": "pro"}, headers={"If-Match": '"9"'})["statusCode"] == 412

    @pytest.mark.parametrize(
        ("status", "path", "expected"),
        [
            ("suspended_by_billing", "/plan", 402),
            ("suspended_by_billing", "/checkout", 503),
            ("suspended_by_billing", "/portal", 503),
            ("suspended", "/checkout", 403),
            ("suspended", "/portal", 403),
        ],
    )
    def test_a_tenant_suspended_by_billing_can_only_pay(
        self, store: Store, status: str, path: str, expected: int
    ) -> None:
        add_tenant(store, status=status)
        method, body = ("PUT" if path == "/plan" else "POST"), ({} if path == "/portal" else {"plan": "pro"})
        assert call(method, path, body)["statusCode"] == expected


class TestUsage:
    def test_of_a_manual_plan_covers_the_calendar_month(self, store: Store) -> None:
        add_tenant(store)
        hour = utc_now().replace(minute=0, second=0, microsecond=0)
        ingest_hour(store, None, "demo-org", HourUsage(hour, 0, {Meter.TOKENS_IN: 2_000_000}, 1), now=hour)
        found = call("GET", "/usage", role=Role.ANALYST)["json"]["usage"]
        assert (found["plan"], found["billing"]) == ("pro", "manual")
        assert found["period_start"].endswith("-01T00:00:00.000Z")
        assert found["so_far"]["lines"][:2] == [
            {
                "item": "base",
                "quantity": 1,
                "unit_price_cents": "2900",
                "charge_nano_usd": 29_000_000_000,
                "amount_cents": 2900,
            },
            {
                "item": "tokens_in",
                "quantity": 2_000_000,
                "unit_price_cents": "0.0001",
                "charge_nano_usd": 2_000_000_000,
                "amount_cents": 200,
            },
        ]
        assert found["so_far"]["amount_cents"] == 3100
        assert found["forecast"]["amount_cents"] >= 3100


class TestInvoices:
    FIRST = datetime(2026, 11, 22, 11, tzinfo=UTC)

    def pay(self, store: Store) -> None:
        """Create a subscribed tenant with usage in two hours and three invoices."""
        stripe = FakePayments(subscriptions={"cus_demo-org": [subscription()]})
        CustomerTable(store, "demo-org").create(link_to_stripe(new_customer(created()), "cus_demo-org"))
        refresh_subscription(store, stripe, "demo-org", now=STARTED)
        for number, tokens in ((0, 100), (1, 23)):
            usage = HourUsage(self.FIRST + timedelta(hours=number), 0, {Meter.TOKENS_IN: tokens}, 1)
            ingest_hour(store, stripe, "demo-org", usage, now=self.FIRST + timedelta(hours=3))
        period = BillingPeriod(STARTED, ENDS)
        lines = (
            InvoiceLine(
                "il_1", "base", "Pro", 1, 2900, BillingPeriod(ENDS, ENDS + timedelta(days=31)), proration=False
            ),
            InvoiceLine("il_2", "tokens_in", "Tokens in", 123, 0, period, proration=False),
        )
        for number in range(3):
            new_invoice = invoice(
                invoice_id=f"in_{number}", lines=lines, rev=1, created_at=ENDS + timedelta(days=number)
            )
            InvoiceTable(store, "demo-org").save(new_invoice)

    def test_are_listed_newest_first_in_pages(self, store: Store) -> None:
        self.pay(store)
        first = call("GET", "/invoices", role=Role.ANALYST, query={"limit": "2"})["json"]
        assert [one["invoice_id"] for one in first["invoices"]] == ["in_2", "in_1"]
        token = first["pagination"]["nextToken"]
        second = call("GET", "/invoices", query={"limit": "2", "next_token": token})["json"]
        assert [one["invoice_id"] for one in second["invoices"]] == ["in_0"]
        assert second["pagination"] == {"nextToken": None, "hasMore": False}

    def test_a_line_lists_its_hours_with_links_to_usage_events(self, store: Store) -> None:
        self.pay(store)
        found = call("GET", "/invoices/{invoice_id}", parameters={"invoice_id": "in_1"})["json"]["invoice"]
        base, tokens = found["lines"]
        assert base["hours"] is None
        assert sum(hour["quantity"] for hour in tokens["hours"]) == tokens["quantity"] == 123
        assert tokens["hours"][0] == {
            "hour": "2026-11-22T11:00:00.000Z",
            "rev": 0,
            "quantity": 100,
            "carried": False,
            "identifier": "demo-org:tokens_in:2026-11-22T11:0",
            "usage_events": "../../usage/events?from=2026-11-22T11:00:00.000Z&to=2026-11-22T12:00:00.000Z",
        }

    def test_an_unknown_invoice_is_404(self, store: Store) -> None:
        add_tenant(store)
        assert call("GET", "/invoices/{invoice_id}", parameters={"invoice_id": "in_9"})["statusCode"] == 404


class TestWebhook:
    def send(self, body: str, header: str | None = None) -> tuple[int, dict[str, Any]]:
        """Send a webhook; return the status and body of the response."""
        headers = {"Stripe-Signature": header} if header else {}
        response = webhook(request("POST", "/v1/webhooks/stripe", body=body, headers=headers))
        return response["statusCode"], json.loads(response["body"])

    def queued(self) -> list[str]:
        """Return the queued event ids."""
        found = own_client("sqs").receive_message(QueueUrl=wiring.inbox()._url, MaxNumberOfMessages=10)  # pyright: ignore  # noqa: PGH003
        return [json.loads(message["Body"])["event_id"] for message in found.get("Messages", [])]

    @pytest.fixture(autouse=True)
    def _secret(self, put_secret: Callable[..., None]) -> None:
        put_secret(api_key="sk_test", webhook_secret=SECRET)

    def test_with_a_valid_signature_is_queued(self) -> None:
        body = json.dumps(payload_of())
        status, payload = self.send(body, signed(body, at=utc_now()))
        assert (status, payload["received"], self.queued()) == (200, True, ["evt_1"])

    @pytest.mark.parametrize("changes", [{"kind": "payout.paid"}, {"api_version": "2020-08-27"}])
    def test_of_another_type_is_acknowledged_and_dropped(self, changes: dict[str, str]) -> None:
        body = json.dumps(payload_of(**changes))
        status, payload = self.send(body, signed(body, at=utc_now()))
        assert (status, payload["received"], self.queued()) == (200, False, [])

    @pytest.mark.parametrize("hours", [-1, 1])
    def test_with_a_wrong_timestamp_is_refused(self, hours: int) -> None:
        body = json.dumps(payload_of())
        status, payload = self.send(body, signed(body, at=utc_now() + timedelta(hours=hours)))
        assert (status, payload["error"], self.queued()) == (400, "BadRequest", [])

    def test_without_a_valid_signature_is_refused(self) -> None:
        body = json.dumps(payload_of())
        for header in (None, "t=1,v1=00", signed(body, at=utc_now(), secret="whsec_other")):
            status, payload = self.send(body, header)
            assert (status, payload["error"]) == (400, "BadRequest")
        assert self.queued() == []

    def test_over_the_size_limit_is_413(self) -> None:
        body = json.dumps(payload_of(padding="x" * 1024 * 1024))
        assert self.send(body, signed(body, at=utc_now()))[0] == 413

    def test_without_a_configured_key_is_503(self, put_secret: Callable[..., None]) -> None:
        put_secret()
        body = json.dumps(payload_of())
        assert self.send(body, signed(body, at=utc_now()))[0] == 503


class TestForgedTokens:
    @every_forged_position
    def test_are_refused_by_the_list_of_invoices(self, store: Store, position: str) -> None:
        add_tenant(store)
        query = {"next_token": seal(position, "demo-org", "invoices")}
        assert call("GET", "/invoices", query=query)["statusCode"] == 400

    @every_forged_position
    def test_are_refused_by_the_reconciliation(self, store: Store, position: str) -> None:
        add_tenant(store)
        query, operator = {"next_token": seal(position, "", "reconcile")}, claims(None, role=Role.PLATFORM_ADMIN)
        response = operators(request("GET", "/v1/admin/billing/reconcile", claims=operator, query=query))
        # Two of them have the format of tenant ids, which are valid cursors of this list.
        assert response["statusCode"] == (200 if position in {"abc", "1e3"} else 400)
