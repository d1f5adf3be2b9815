"""Plans, costs, invoices and webhooks over HTTP."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Timer
from typing import Any

import pytest

from services.billing import wiring
from services.billing.api import webhook
from services.billing.api.application import app
from services.billing.api.operators import app as operators
from services.billing.domain.cost import Period
from services.billing.domain.customer import customer_of, linked
from services.billing.domain.invoice import InvoiceLine
from services.billing.domain.usage import HourUsage
from services.billing.gateways.fake_payments import FakePayments
from services.billing.operations.customers import create_customer, refresh_subscription
from services.billing.operations.usage import take_in
from services.billing.table.customers import add_customer
from services.billing.table.invoices import save_invoice
from shared.copies.tenant_access import TenantAccessCopies
from shared.http.token import seal
from shared.meters import Meter
from shared.plans import Plan
from shared.storage.clients import own_client
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from shared.times import utc_now
from tests.forged import forged_place
from tests.gateway import REQUEST_ID, claims, request
from tests.services.billing.subscriptions import ENDS, STARTED, subscription
from tests.services.billing.tenants import created
from tests.services.billing.test_webhooks import SECRET, invoice, signed
from tests.services.billing.test_webhooks import webhook as payload_of
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
    """The answer, with its body as JSON."""
    parameters = {"tenant_id": tenant_id, **other.pop("parameters", {})}
    asked = request(method, BILLING + path, path_parameters=parameters, claims=claims(role=role), body=body, **other)
    answer = app(asked)
    return answer | {"json": json.loads(answer["body"])}


def know(store: Store, *, plan: Plan = Plan.PRO, status: Any = "active") -> None:  # noqa: ANN401 — one of the three
    """Let the service have heard of the tenant."""
    create_customer(store, created(plan=plan))
    TenantAccessCopies(store).keep(tenant_created("demo-org", plan=plan, status=status))


class TestGetPlan:
    def test_shows_the_plan(self, store: Store) -> None:
        know(store)
        answer = call("GET", "/plan", role=Role.ANALYST)
        assert answer["statusCode"] == 200
        assert answer["json"] == {
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

    def test_waits_for_a_tenant_that_was_made_a_moment_ago(self, store: Store) -> None:
        arrival = Timer(0.1, create_customer, (store, created()))
        arrival.start()
        answer = call("GET", "/plan")
        arrival.join()
        assert answer["statusCode"] == 200

    def test_says_when_nothing_is_known_of_the_tenant(self, store: Store) -> None:
        create_customer(store, created("demo-org2"))
        answer = call("GET", "/plan")
        assert answer["statusCode"] == 503
        assert answer["json"]["error"] == "DependencyUnavailable"
        assert answer["multiValueHeaders"]["Retry-After"] == ["1"]

    @pytest.mark.parametrize(("tenant_id", "role"), [("demo-org", Role.OBSERVER), ("demo-org2", Role.TENANT_ADMIN)])
    def test_refuses_observers_and_other_tenants(self, store: Store, tenant_id: str, role: Role) -> None:
        create_customer(store, created(tenant_id))
        assert call("GET", "/plan", tenant_id=tenant_id, role=role)["statusCode"] == 403


class TestWithoutStripe:
    def test_a_manual_plan_is_not_changed(self, store: Store) -> None:
        know(store)
        answer = call("PUT", "/plan", {"plan": "enterprise"})
        assert (answer["statusCode"], answer["json"]["error"]) == (409, "Conflict")
        assert call("GET", "/plan")["json"]["plan"]["plan"] == "pro"

    @pytest.mark.parametrize(("path", "body"), [("/checkout", {"plan": "pro"}), ("/portal", {})])
    def test_there_is_no_way_to_pay(self, store: Store, path: str, body: dict[str, str]) -> None:
        know(store)
        answer = call("POST", path, body)
        assert (answer["statusCode"], answer["json"]["error"]) == (503, "DependencyUnavailable")
        assert "not configured" in answer["json"]["message"]

    def test_a_patch_that_says_nothing_changes_nothing(self, store: Store) -> None:
        know(store)
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
    def test_what_is_not_valid_is_422(self, store: Store, method: str, path: str, body: dict[str, str]) -> None:
        know(store)
        assert call(method, path, body)["statusCode"] == 422

    @pytest.mark.parametrize(("method", "path"), [("PUT", "/plan"), ("POST", "/checkout"), ("POST", "/portal")])
    def test_a_developer_changes_nothing(self, store: Store, method: str, path: str) -> None:
        know(store)
        assert call(method, path, {"plan": "pro"}, role=Role.DEVELOPER)["statusCode"] == 403

    def test_a_stale_version_is_412(self, store: Store) -> None:
        know(store)
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
    def test_an_unpaid_tenant_can_go_and_pay_and_no_more(
        self, store: Store, status: str, path: str, expected: int
    ) -> None:
        know(store, status=status)
        method, body = ("PUT" if path == "/plan" else "POST"), ({} if path == "/portal" else {"plan": "pro"})
        assert call(method, path, body)["statusCode"] == expected


class TestUsage:
    def test_of_a_manual_plan_is_that_of_the_calendar_month(self, store: Store) -> None:
        know(store)
        hour = utc_now().replace(minute=0, second=0, microsecond=0)
        take_in(store, None, "demo-org", HourUsage(hour, 0, {Meter.TOKENS_IN: 2_000_000}, 1), now=hour)
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
        """A tenant that pays, with usage in two hours and an invoice."""
        stripe = FakePayments(subscriptions={"cus_demo-org": [subscription()]})
        add_customer(store, linked(customer_of(created()), "cus_demo-org"))
        refresh_subscription(store, stripe, "demo-org", now=STARTED)
        for number, tokens in ((0, 100), (1, 23)):
            usage = HourUsage(self.FIRST + timedelta(hours=number), 0, {Meter.TOKENS_IN: tokens}, 1)
            take_in(store, stripe, "demo-org", usage, now=self.FIRST + timedelta(hours=3))
        period = Period(STARTED, ENDS)
        lines = (
            InvoiceLine("il_1", "base", "Pro", 1, 2900, Period(ENDS, ENDS + timedelta(days=31)), proration=False),
            InvoiceLine("il_2", "tokens_in", "Tokens in", 123, 0, period, proration=False),
        )
        for number in range(3):
            made = invoice(invoice_id=f"in_{number}", lines=lines, rev=1, created_at=ENDS + timedelta(days=number))
            save_invoice(store, "demo-org", made)

    def test_are_listed_newest_first_in_pages(self, store: Store) -> None:
        self.pay(store)
        first = call("GET", "/invoices", role=Role.ANALYST, query={"limit": "2"})["json"]
        assert [one["invoice_id"] for one in first["invoices"]] == ["in_2", "in_1"]
        token = first["pagination"]["nextToken"]
        second = call("GET", "/invoices", query={"limit": "2", "next_token": token})["json"]
        assert [one["invoice_id"] for one in second["invoices"]] == ["in_0"]
        assert second["pagination"] == {"nextToken": None, "hasMore": False}

    def test_a_line_leads_back_to_its_hours_and_their_usage_events(self, store: Store) -> None:
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
            "usage_events": "/v1/tenants/demo-org/usage/events"
            "?from=2026-11-22T11:00:00.000Z&to=2026-11-22T12:00:00.000Z",
        }

    def test_of_nobody_is_404(self, store: Store) -> None:
        know(store)
        assert call("GET", "/invoices/{invoice_id}", parameters={"invoice_id": "in_9"})["statusCode"] == 404


class TestWebhook:
    def send(self, body: str, header: str | None = None) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer."""
        headers = {"Stripe-Signature": header} if header else {}
        answer = webhook(request("POST", "/v1/webhooks/stripe", body=body, headers=headers))
        return answer["statusCode"], json.loads(answer["body"])

    def queued(self) -> list[str]:
        """What waits in the queue."""
        found = own_client("sqs").receive_message(QueueUrl=wiring.inbox()._url, MaxNumberOfMessages=10)  # pyright: ignore  # noqa: PGH003
        return [json.loads(message["Body"])["event_id"] for message in found.get("Messages", [])]

    @pytest.fixture(autouse=True)
    def _secret(self, put_secret: Callable[..., None]) -> None:
        put_secret(api_key="sk_test", webhook_secret=SECRET)

    def test_of_stripe_is_taken_and_queued(self) -> None:
        body = json.dumps(payload_of())
        status, said = self.send(body, signed(body, at=utc_now()))
        assert (status, said["received"], self.queued()) == (200, True, ["evt_1"])

    @pytest.mark.parametrize("changes", [{"kind": "payout.paid"}, {"api_version": "2020-08-27"}])
    def test_of_no_concern_is_answered_and_forgotten(self, changes: dict[str, str]) -> None:
        body = json.dumps(payload_of(**changes))
        status, said = self.send(body, signed(body, at=utc_now()))
        assert (status, said["received"], self.queued()) == (200, False, [])

    @pytest.mark.parametrize("hours", [-1, 1])
    def test_of_another_time_is_refused(self, hours: int) -> None:
        body = json.dumps(payload_of())
        status, said = self.send(body, signed(body, at=utc_now() + timedelta(hours=hours)))
        assert (status, said["error"], self.queued()) == (400, "BadRequest", [])

    def test_of_anybody_else_is_refused(self) -> None:
        body = json.dumps(payload_of())
        for header in (None, "t=1,v1=00", signed(body, at=utc_now(), secret="whsec_other")):
            status, said = self.send(body, header)
            assert (status, said["error"]) == (400, "BadRequest")
        assert self.queued() == []

    def test_that_is_huge_is_413(self) -> None:
        body = json.dumps(payload_of(padding="x" * 1024 * 1024))
        assert self.send(body, signed(body, at=utc_now()))[0] == 413

    def test_where_no_key_is_put_in_is_503(self, put_secret: Callable[..., None]) -> None:
        put_secret()
        body = json.dumps(payload_of())
        assert self.send(body, signed(body, at=utc_now()))[0] == 503


class TestForgedTokens:
    @forged_place
    def test_the_list_of_invoices_refuses_each(self, store: Store, place: str) -> None:
        know(store)
        query = {"next_token": seal(place, "demo-org", "invoices")}
        assert call("GET", "/invoices", query=query)["statusCode"] == 400

    @forged_place
    def test_the_reconciliation_refuses_each(self, store: Store, place: str) -> None:
        know(store)
        query, operator = {"next_token": seal(place, "", "reconcile")}, claims(None, role=Role.PLATFORM_ADMIN)
        answer = operators(request("GET", "/v1/admin/billing/reconcile", claims=operator, query=query))
        # Two of them are what ids of tenants look like, and so are places of this list.
        assert answer["statusCode"] == (200 if place in {"abc", "1e3"} else 400)
