"""The second walk of the demo: a new tenant pays, is billed to the last token, fails to pay, and pays again.

It is a tenant of its own each time, with its own time at the local Stripe, so that nobody else's clock moves.
"""

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from cli.api import Answer, Request, Send
from cli.demo.usage import expect, expect_status, said
from shared.times import from_text, to_text

T = TypeVar("T")
Counts = dict[str, int]

HOUR = timedelta(hours=1)
BEGINS = 6 * HOUR
"""So long ago the subscription begins: its first hour is free, the next ones are over."""

_GOOD_CARD, _BAD_CARD = "4242424242424242", "4000000000000341"
_BILLED = ("tokens_in", "tokens_out")
_PATIENCE_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """What the walk touches."""

    api: str
    stripe: str
    """The local Stripe."""
    tenant: str
    """Of this walk alone."""
    token: str
    """Of a platform admin."""
    send: Send
    """Sends a request and shows it."""
    ask: Send
    """Sends a request unseen."""
    operate: Callable[..., Mapping[str, Any]]
    """Has a service carry out a command: its name, the command, what is given."""
    drift: Callable[[], list[dict[str, Any]]]
    """What does not say the same, by `reconcile`."""
    wall: Callable[[], datetime]
    """The time."""
    now: Callable[[], float]
    pause: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Payer:
    """The steps, one after the other."""

    counter: Counter
    title: Callable[[str], None]
    note: Callable[[str], None]

    def go(self) -> dict[str, Any]:
        """Walk the whole way, and say what was seen.

        Raises:
            WalkFailed: something was not as it should be.
        """
        customer = self.subscribe()
        ledger = self.use()
        invoice = self.be_billed(customer, ledger)
        self.fail_and_pay(customer)
        self.title("Runs, ledger, billing and Stripe say the same")
        drift = self._wait(self.counter.drift, until=lambda found: not found)
        expect(not drift, f"reconcile has found {drift}")
        self.note(f"./ainexus reconcile --tenant {self.counter.tenant}: no drift")
        return {"tenant": self.counter.tenant, "billed": ledger, "amount_cents": invoice["amount_cents"]}

    def subscribe(self) -> str:
        """A free tenant goes to the checkout and pays; gives back who it is at Stripe."""
        self.title(f"A new free tenant, {self.counter.tenant}, goes to the checkout and pays")
        self.counter.operate("billing", "setup")
        self.counter.operate("tenants", "create_tenant", tenant_id=self.counter.tenant, name="Payer", plan="free")
        self._wait_for_plan(plan="free", billing="manual")
        answer = self.counter.send(self._request("POST", "billing/checkout", {"plan": "pro"}))
        expect_status(answer, 201)
        customer = self._wait(self._customer, until=bool)
        expect(bool(customer), "Stripe does not know the tenant")
        ahead = int(self._control("health")["now"])
        self._advance(customer, int((self.counter.wall() - BEGINS).timestamp()) - ahead)
        self._form(answer.body["checkout"]["url"], action="pay", number=_GOOD_CARD)
        plan = self._wait_for_plan(plan="pro", billing="stripe", status="active")
        self._advance(customer, int(BEGINS.total_seconds()))
        self.note(f"paid on Stripe's page; the plan is {plan['plan']} until {plan['period_end']}")
        return customer

    def use(self) -> Counts:
        """It runs an agent, and reports usage of hours before; gives back what is to be charged for."""
        self.title("It runs an agent, and reports usage of its own")
        begins = self.counter.wall() - BEGINS
        reported = {begins: 500_000, begins + 2 * HOUR: 1_234_567}
        events = [_event(number, at, tokens) for number, (at, tokens) in enumerate(reported.items())]
        expect_status(self.counter.ask(self._request("POST", "usage/events", {"events": events})), 200)
        run = self._run()
        entries = self._wait(self._entries, until=lambda found: len(found) == len(events) + 1)
        first = begins.replace(minute=0, second=0, microsecond=0) + HOUR
        charged = [entry for entry in entries if from_text(entry["occurred_at"]) >= first]
        ledger = {meter: sum(entry["meters"].get(meter, 0) for entry in charged) for meter in _BILLED}
        self.note(f"the run used {run['usage']['tokens_in']} in, {run['usage']['tokens_out']} out")
        self.note(f"the ledger has, from the first full hour: {said(ledger)}")
        self.counter.operate("metering", "close", tenant_id=self.counter.tenant, running=True)
        usage = self._wait(self._cost, until=lambda found: ledger.items() <= _quantities(found["so_far"]).items())
        expect(ledger.items() <= _quantities(usage["so_far"]).items(), f"billing has {_quantities(usage['so_far'])}")
        # In a moment a month will have passed, and with it every second try that Stripe would have got by then.
        flushed = self._wait(self._flush, until=bool)
        expect(flushed, "Stripe does not take the usage")
        self.note(f"cost so far: {usage['so_far']['amount_cents']} cents")
        return ledger

    def be_billed(self, customer: str, ledger: Counts) -> dict[str, Any]:
        """The month ends; the invoice has the base price and what was used, to the last token."""
        self.title("The month ends, and the invoice comes")
        self._advance(customer, 33 * 86_400)
        invoice = self._wait(self._renewal, until=bool)
        expect(bool(invoice), "there is no paid invoice of the renewal")
        found = self.counter.ask(self._request("GET", f"billing/invoices/{invoice['invoice_id']}")).body["invoice"]
        lines = {line["item"]: line for line in found["lines"] if line["quantity"]}
        quantities = {meter: lines[meter]["quantity"] if meter in lines else 0 for meter in _BILLED}
        expect(quantities == ledger, f"the invoice has {quantities}; the ledger {ledger}")
        expect("base" in lines, "the invoice has no base price")
        expect(sum(line["amount_cents"] for line in found["lines"]) == found["amount_cents"], "the sum is wrong")
        for line in lines.values():
            self.note(f"{line['item']:12} {line['quantity']:>10}  {line['amount_cents']:>6} cents")
        self.note(f"{'in all':12} {'':>10}  {found['amount_cents']:>6} cents, {found['status']}: as the ledger says")
        return found

    def fail_and_pay(self, customer: str) -> None:
        """The card fails: grace, then suspension; paid, it is active again."""
        self.title("Its card fails")
        self._card(_BAD_CARD)
        self._advance(customer, 31 * 86_400)
        plan = self._wait_for_plan(subscription_status="past_due", status="active")
        self.note(f"{plan['subscription_status']}: it goes on until {plan['grace_until']}")
        self._advance(customer, 9 * 86_400)
        self._wait_for_plan(status="suspended_by_billing")
        refused = self._wait(self._try_agent, until=lambda answer: answer.status == 402)
        expect_status(refused, 402)
        self.note(f"suspended: a new agent is answered with {refused.status} {refused.body['error']}")
        self._card(_GOOD_CARD)
        for invoice in self._invoices("open"):
            self._form(invoice["hosted_url"], action="pay")
        plan = self._wait_for_plan(status="active", grace_until=None, subscription_status="active")
        self.note(f"paid: {plan['status']} on {plan['plan']}")

    def _run(self) -> dict[str, Any]:
        made = self._wait(self._try_agent, until=lambda answer: answer.status == 201)
        expect_status(made, 201)
        body = {"agent_id": made.body["agent"]["agent_id"], "inputs": {"message": "What do I owe?"}}
        answer = self.counter.ask(self._request("POST", "runs", body, headers={"Prefer": "wait=25"}))
        expect_status(answer, 201)
        return answer.body["run"]

    def _try_agent(self) -> Answer:
        config = {"model": "gpt-4", "system_prompt": "You keep the books."}
        return self.counter.ask(
            self._request("POST", "agents", {"name": "Books", "type": "conversational", "config": config})
        )

    def _entries(self) -> list[dict[str, Any]]:
        return self.counter.ask(self._request("GET", "usage/events?limit=100")).body.get("events", [])

    def _cost(self) -> dict[str, Any]:
        return self.counter.ask(self._request("GET", "billing/usage")).body["usage"]

    def _flush(self) -> bool:
        """Send what was not sent; says whether Stripe has all of it."""
        return bool(self.counter.operate("billing", "flush", tenant_id=self.counter.tenant)["all_sent"])

    def _invoices(self, status: str) -> list[dict[str, Any]]:
        found = self.counter.ask(self._request("GET", "billing/invoices")).body.get("invoices", [])
        return [invoice for invoice in found if invoice["status"] == status]

    def _renewal(self) -> dict[str, Any]:
        found = [one for one in self._invoices("paid") if any(_is_metered(line) for line in one["lines"])]
        return found[0] if found else {}

    def _customer(self) -> str:
        """Who the tenant is at Stripe; empty until it is known there."""
        made = (event["data"]["object"] for event in self._control("events")["events"] if _is_new_customer(event))
        return next((str(one["id"]) for one in made if one["metadata"].get("tenant_id") == self.counter.tenant), "")

    def _card(self, number: str) -> None:
        answer = self.counter.ask(self._request("POST", "billing/portal", {}))
        expect_status(answer, 201)
        self._form(answer.body["portal"]["url"], action="card", number=number)

    def _advance(self, customer: str, seconds: int) -> None:
        """Move this customer's own time."""
        self._control(f"customers/{customer}/clock", advance_s=seconds)

    def _control(self, path: str, **given: object) -> dict[str, Any]:
        request = Request("POST" if given else "GET", f"{self.counter.stripe}/_local/{path}", given or None)
        answer = self.counter.ask(request)
        expect_status(answer, 200)
        return answer.body

    def _form(self, url: str, **fields: str) -> None:
        """Do what a person does on a page; it may send on to the front end, which does not run here."""
        request = urllib.request.Request(url, data=urllib.parse.urlencode(fields).encode())  # noqa: S310 — the local Stripe's
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with suppress(urllib.error.URLError), direct.open(request, timeout=_PATIENCE_S):
            return

    def _wait_for_plan(self, **wanted: object) -> dict[str, Any]:
        def plan() -> dict[str, Any]:
            return self.counter.ask(self._request("GET", "billing/plan")).body.get("plan", {})

        found = self._wait(plan, until=lambda seen: wanted.items() <= seen.items())
        expect(wanted.items() <= found.items(), f"expected the plan to show {wanted}, got {found}")
        return found

    def _wait(self, look: Callable[[], T], *, until: Callable[[T], object]) -> T:
        end = self.counter.now() + _PATIENCE_S
        while not until(seen := look()) and self.counter.now() < end:
            self.counter.pause()
        return seen

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Request:
        url = f"{self.counter.api}/v1/tenants/{self.counter.tenant}/{path}"
        return Request(method, url, body, headers or {}, self.counter.token)


def _event(number: int, at: datetime, tokens: int) -> dict[str, Any]:
    meters = {"tokens_in": tokens, "tokens_out": tokens // 1000}
    return {"id": str(number), "source": "demo", "type": "usage", "time": to_text(at), "data": {"meters": meters}}


def _quantities(bill: Mapping[str, Any]) -> Counts:
    return {line["item"]: line["quantity"] for line in bill["lines"]}


def _is_metered(line: Mapping[str, Any]) -> bool:
    return line["item"] in _BILLED and bool(line["quantity"])


def _is_new_customer(event: Mapping[str, Any]) -> bool:
    return event["type"] == "customer.created"
