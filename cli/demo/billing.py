"""The billing demo: a new tenant subscribes, is billed to the last token, fails to pay, and pays again.

Each demo has its own tenant and its own clock at the local Stripe, so that no other tenant's time moves.
"""

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from cli.api import ApiRequest, ApiResponse, Send
from cli.demo.counts import Counts, format_counts
from cli.demo.expectation import expect, expect_status
from shared.times import from_text, to_text

T = TypeVar("T")

HOUR = timedelta(hours=1)
SUBSCRIPTION_AGE = 6 * HOUR
"""The subscription begins in the past: its first hour is free, and the next ones are closed."""

_GOOD_CARD, _BAD_CARD = "4242424242424242", "4000000000000341"
_BILLED = ("tokens_in", "tokens_out")
_MAX_WAIT_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingDemoContext:
    """The tenant, and the operations that the demo needs."""

    api: str
    stripe: str
    """The address of the local Stripe."""
    tenant: str
    """The id of a tenant that does not exist yet."""
    token: str
    """The token of a platform admin."""
    send_and_print: Send
    """Sends a request and prints it with its response."""
    send: Send
    """Sends a request without printing it."""
    invoke: Callable[..., Mapping[str, Any]]
    """Runs a command of a service: its name, the command and its arguments."""
    reconcile: Callable[[], list[dict[str, Any]]]
    """Returns the differences between all records of the tenant's usage."""
    utc_now: Callable[[], datetime]
    now: Callable[[], float]
    """A monotonic clock, in seconds."""
    pause: Callable[[], None]


@dataclass(frozen=True, slots=True)
class BillingDemo:
    """The steps of the demo, in order."""

    context: BillingDemoContext
    title: Callable[[str], None]
    note: Callable[[str], None]

    def run(self) -> dict[str, Any]:
        """Run all steps, and return the billed usage and amount.

        Raises:
            DemoFailed: a step had an unexpected result.
        """
        customer = self.subscribe()
        ledger = self.use()
        invoice = self.be_billed(customer, ledger)
        self.fail_and_pay(customer)
        self.title("Reconcile runs, ledger, billing and Stripe")
        differences = self._poll(self.context.reconcile, until=lambda found: not found)
        expect(not differences, f"reconcile found {differences}")
        self.note(f"./ainexus reconcile --tenant {self.context.tenant}: no drift")
        return {"tenant": self.context.tenant, "billed": ledger, "amount_cents": invoice["amount_cents"]}

    def subscribe(self) -> str:
        """Upgrade a free tenant in the checkout, and return its customer id at Stripe."""
        self.title(f"Create a free tenant, {self.context.tenant}, and upgrade it in the checkout")
        self.context.invoke("billing", "setup")
        self.context.invoke("tenants", "create_tenant", tenant_id=self.context.tenant, name="Payer", plan="free")
        self._wait_for_plan(plan="free", billing="manual")
        response = self.context.send_and_print(self._request("POST", "billing/checkout", {"plan": "pro"}))
        expect_status(response, 201)
        customer = self._poll(self._customer, until=bool)
        expect(bool(customer), "the tenant is no customer at Stripe")
        stripe_now = int(self._control("health")["now"])
        self._advance(customer, int((self.context.utc_now() - SUBSCRIPTION_AGE).timestamp()) - stripe_now)
        self._form(response.body["checkout"]["url"], action="pay", number=_GOOD_CARD)
        plan = self._wait_for_plan(plan="pro", billing="stripe", status="active")
        self._advance(customer, int(SUBSCRIPTION_AGE.total_seconds()))
        self.note(f"paid on Stripe's page; the plan is {plan['plan']} until {plan['period_end']}")
        return customer

    def use(self) -> Counts:
        """Run an agent, report usage of past hours, and return the usage that will be billed."""
        self.title("Run an agent and report usage from outside")
        begins = self.context.utc_now() - SUBSCRIPTION_AGE
        reported = {begins: 500_000, begins + 2 * HOUR: 1_234_567}
        events = [_event(number, at, tokens) for number, (at, tokens) in enumerate(reported.items())]
        expect_status(self.context.send(self._request("POST", "usage/events", {"events": events})), 200)
        run = self._run_agent()
        entries = self._poll(self._entries, until=lambda found: len(found) == len(events) + 1)
        first = begins.replace(minute=0, second=0, microsecond=0) + HOUR
        charged = [entry for entry in entries if from_text(entry["occurred_at"]) >= first]
        ledger = {meter: sum(entry["meters"].get(meter, 0) for entry in charged) for meter in _BILLED}
        self.note(f"the run used {run['usage']['tokens_in']} in, {run['usage']['tokens_out']} out")
        self.note(f"the ledger has, from the first full hour: {format_counts(ledger)}")
        self.context.invoke("metering", "close", tenant_id=self.context.tenant, running=True)
        usage = self._poll(self._cost, until=lambda found: ledger.items() <= _quantities(found["so_far"]).items())
        expect(ledger.items() <= _quantities(usage["so_far"]).items(), f"billing has {_quantities(usage['so_far'])}")
        # The next step moves Stripe's clock by a month, past all retries: everything has to be sent before.
        flushed = self._poll(self._flush, until=bool)
        expect(flushed, "Stripe does not accept the usage")
        self.note(f"cost so far: {usage['so_far']['amount_cents']} cents")
        return ledger

    def be_billed(self, customer: str, ledger: Counts) -> dict[str, Any]:
        """End the month, and check that the invoice has the base price and exactly the ledger's usage."""
        self.title("End the month and check the invoice")
        self._advance(customer, 33 * 86_400)
        invoice = self._poll(self._renewal, until=bool)
        expect(bool(invoice), "there is no paid invoice of the renewal")
        found = self.context.send(self._request("GET", f"billing/invoices/{invoice['invoice_id']}")).body["invoice"]
        lines = {line["item"]: line for line in found["lines"] if line["quantity"]}
        quantities = {meter: lines[meter]["quantity"] if meter in lines else 0 for meter in _BILLED}
        expect(quantities == ledger, f"the invoice has {quantities}; the ledger {ledger}")
        expect("base" in lines, "the invoice has no base price")
        expect(sum(line["amount_cents"] for line in found["lines"]) == found["amount_cents"], "the sum is wrong")
        for line in lines.values():
            self.note(f"{line['item']:12} {line['quantity']:>10}  {line['amount_cents']:>6} cents")
        self.note(f"{'in all':12} {'':>10}  {found['amount_cents']:>6} cents, {found['status']}: equal to the ledger")
        return found

    def fail_and_pay(self, customer: str) -> None:
        """Let the card fail until the tenant is suspended, then pay and check that it is active again."""
        self.title("Let the card fail, then pay")
        self._card(_BAD_CARD)
        self._advance(customer, 31 * 86_400)
        plan = self._wait_for_plan(subscription_status="past_due", status="active")
        self.note(f"{plan['subscription_status']}: active until {plan['grace_until']}")
        self._advance(customer, 9 * 86_400)
        self._wait_for_plan(status="suspended_by_billing")
        refused = self._poll(self._create_agent, until=lambda response: response.status == 402)
        expect_status(refused, 402)
        self.note(f"suspended: creating an agent returns {refused.status} {refused.body['error']}")
        self._card(_GOOD_CARD)
        for invoice in self._invoices("open"):
            self._form(invoice["hosted_url"], action="pay")
        plan = self._wait_for_plan(status="active", grace_until=None, subscription_status="active")
        self.note(f"paid: {plan['status']} on {plan['plan']}")

    def _run_agent(self) -> dict[str, Any]:
        made = self._poll(self._create_agent, until=lambda response: response.status == 201)
        expect_status(made, 201)
        body = {"agent_id": made.body["agent"]["agent_id"], "inputs": {"message": "What do I owe?"}}
        response = self.context.send(self._request("POST", "runs", body, headers={"Prefer": "wait=25"}))
        expect_status(response, 201)
        return response.body["run"]

    def _create_agent(self) -> ApiResponse:
        config = {"model": "gpt-5.2", "system_prompt": "You are an accountant."}
        return self.context.send(
            self._request("POST", "agents", {"name": "Accountant", "type": "conversational", "config": config})
        )

    def _entries(self) -> list[dict[str, Any]]:
        return self.context.send(self._request("GET", "usage/events?limit=100")).body.get("events", [])

    def _cost(self) -> dict[str, Any]:
        return self.context.send(self._request("GET", "billing/usage")).body["usage"]

    def _flush(self) -> bool:
        """Send the remaining usage, and return whether all of it was sent."""
        return bool(self.context.invoke("billing", "flush", tenant_id=self.context.tenant)["all_sent"])

    def _invoices(self, status: str) -> list[dict[str, Any]]:
        found = self.context.send(self._request("GET", "billing/invoices")).body.get("invoices", [])
        return [invoice for invoice in found if invoice["status"] == status]

    def _renewal(self) -> dict[str, Any]:
        found = [one for one in self._invoices("paid") if any(_is_metered(line) for line in one["lines"])]
        return found[0] if found else {}

    def _customer(self) -> str:
        """Return the tenant's customer id at Stripe; empty if there is none yet."""
        made = (event["data"]["object"] for event in self._control("events")["events"] if _is_new_customer(event))
        return next((str(one["id"]) for one in made if one["metadata"].get("tenant_id") == self.context.tenant), "")

    def _card(self, number: str) -> None:
        response = self.context.send(self._request("POST", "billing/portal", {}))
        expect_status(response, 201)
        self._form(response.body["portal"]["url"], action="card", number=number)

    def _advance(self, customer: str, seconds: int) -> None:
        """Advance the clock of this customer."""
        self._control(f"customers/{customer}/clock", advance_s=seconds)

    def _control(self, path: str, **parameters: object) -> dict[str, Any]:
        request = ApiRequest(
            "POST" if parameters else "GET", f"{self.context.stripe}/_local/{path}", parameters or None
        )
        response = self.context.send(request)
        expect_status(response, 200)
        return response.body

    def _form(self, url: str, **fields: str) -> None:
        """Submit a form. Its redirect to the front end may fail, because none runs here."""
        request = urllib.request.Request(url, data=urllib.parse.urlencode(fields).encode())  # noqa: S310 — the local Stripe's
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with suppress(urllib.error.URLError), direct.open(request, timeout=_MAX_WAIT_S):
            return

    def _wait_for_plan(self, **expected: object) -> dict[str, Any]:
        def plan() -> dict[str, Any]:
            return self.context.send(self._request("GET", "billing/plan")).body.get("plan", {})

        found = self._poll(plan, until=lambda seen: expected.items() <= seen.items())
        expect(expected.items() <= found.items(), f"expected the plan to show {expected}, got {found}")
        return found

    def _poll(self, fetch: Callable[[], T], *, until: Callable[[T], object]) -> T:
        end = self.context.now() + _MAX_WAIT_S
        while not until(seen := fetch()) and self.context.now() < end:
            self.context.pause()
        return seen

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, headers: Mapping[str, str] | None = None
    ) -> ApiRequest:
        url = f"{self.context.api}/v1/tenants/{self.context.tenant}/{path}"
        return ApiRequest(method, url, body, headers or {}, self.context.token)


def _event(number: int, at: datetime, tokens: int) -> dict[str, Any]:
    meters = {"tokens_in": tokens, "tokens_out": tokens // 1000}
    return {"id": str(number), "source": "demo", "type": "usage", "time": to_text(at), "data": {"meters": meters}}


def _quantities(bill: Mapping[str, Any]) -> Counts:
    return {line["item"]: line["quantity"] for line in bill["lines"]}


def _is_metered(line: Mapping[str, Any]) -> bool:
    return line["item"] in _BILLED and bool(line["quantity"])


def _is_new_customer(event: Mapping[str, Any]) -> bool:
    return event["type"] == "customer.created"
