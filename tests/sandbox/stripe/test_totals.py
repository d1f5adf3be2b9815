"""Properties at any order of actions: lines add up to totals, and every unit of usage is billed once."""

from dataclasses import dataclass, field
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.stripe import amounts, meters
from sandbox.stripe.api import StripeRequest, handle_request
from sandbox.stripe.changes import BEHAVIORS
from sandbox.stripe.store import Json, StripeStore
from sandbox.stripe.timeline import pass_time
from sandbox.stripe.world import StripeWorld

START = 1_790_000_000
DAY_S = 86_400
PRICES = {"pro": (2_900, "0.0001"), "enterprise": (29_900, "0.00005")}
KEY = "sk_test_local_of_a_test"


@dataclass
class SimulatedAccount:
    """An account in memory with a clock and one subscriber."""

    now: int = START
    world: StripeWorld = field(
        default_factory=lambda: StripeWorld(StripeStore(None), "http://localhost", KEY, "whsec_of_a_test")
    )
    sent: int = 0
    """Units of usage."""

    def __post_init__(self) -> None:
        self.meter = self.post(
            "/v1/billing/meters",
            ("event_name", "tokens"),
            ("display_name", "Tokens"),
            ("default_aggregation[formula]", "sum"),
        )["id"]
        self.plans = {name: self._prices(name) for name in PRICES}
        self.customer = self.post("/v1/customers", ("name", "Acme"), ("payment_method", "pm_card_visa"))["id"]
        base, tokens = self.plans["pro"]
        created = self.post(
            "/v1/subscriptions",
            ("customer", self.customer),
            ("items[0][price]", base),
            ("items[1][price]", tokens),
        )
        self.subscription: str = created["id"]

    def post(self, path: str, *fields: tuple[str, object]) -> Json:
        """Send a request that must succeed."""
        body = urlencode([(name, str(value)) for name, value in fields])
        with self.world.at(self.now):
            response = handle_request(
                self.world, StripeRequest("POST", path, "", {"authorization": f"Bearer {KEY}"}, body)
            )
        assert response.status == 200, response.body
        return response.body

    def use(self, amount: int) -> None:
        """Report usage now."""
        payload = (("payload[stripe_customer_id]", self.customer), ("payload[value]", amount))
        self.post("/v1/billing/meter_events", ("event_name", "tokens"), ("timestamp", self.now), *payload)
        self.sent += amount

    def switch(self, plan: str, behavior: str) -> None:
        """Change the plan now."""
        items = self.world.store.get("subscription", self.subscription)["items"]["data"]
        prices = zip(items, self.plans[plan], strict=True)
        fields = [
            pair
            for index, (item, price) in enumerate(prices)
            for pair in ((f"items[{index}][id]", item["id"]), (f"items[{index}][price]", price))
        ]
        self.post(f"/v1/subscriptions/{self.subscription}", *fields, ("proration_behavior", behavior))

    def pass_time(self, seconds: int) -> None:
        """Advance the time, with all scheduled actions."""
        pass_time(self.world, clock=None, until=self.now + seconds)
        self.now += seconds

    def invoices(self) -> list[Json]:
        """Return all invoices."""
        return self.world.store.all("invoice")

    def _prices(self, name: str) -> tuple[str, str]:
        base, each = PRICES[name]
        product = self.post("/v1/products", ("name", name))["id"]
        common: list[tuple[str, object]] = [("product", product), ("currency", "usd"), ("recurring[interval]", "month")]
        licensed = self.post("/v1/prices", *common, ("unit_amount", base))["id"]
        metered = (("recurring[usage_type]", "metered"), ("recurring[meter]", self.meter))
        return licensed, self.post("/v1/prices", *common, *metered, ("unit_amount_decimal", each))["id"]


@dataclass(frozen=True)
class UsageStep:
    """Report usage."""

    amount: int

    def happen(self, account: SimulatedAccount) -> None:
        account.use(self.amount)


@dataclass(frozen=True)
class TimeStep:
    """Advance the time."""

    seconds: int

    def happen(self, account: SimulatedAccount) -> None:
        account.pass_time(self.seconds)


@dataclass(frozen=True)
class PlanStep:
    """Change the plan."""

    plan: str
    behavior: str

    def happen(self, account: SimulatedAccount) -> None:
        account.switch(self.plan, self.behavior)


STEPS = st.lists(
    st.builds(UsageStep, st.integers(0, 10**12))
    | st.builds(TimeStep, st.integers(1, 20 * DAY_S))
    | st.builds(PlanStep, st.sampled_from(sorted(PRICES)), st.sampled_from(BEHAVIORS)),
    max_size=12,
)
"""The possible actions on an account."""


@settings(max_examples=40, deadline=None)
@given(happens=STEPS)
def test_lines_are_totals_and_usage_is_billed_once(happens: list[UsageStep | TimeStep | PlanStep]) -> None:
    account = SimulatedAccount()
    try:
        for step in happens:
            step.happen(account)
        account.pass_time(34 * DAY_S)
        for invoice in account.invoices():
            assert_adds_up(invoice)
        assert billed_usage(account) == account.sent
    finally:
        account.world.store.close()


def assert_adds_up(invoice: Json) -> None:
    total = sum(line["amount"] for line in invoice["_lines"])
    assert invoice["total"] == invoice["subtotal"] == total
    assert invoice["amount_due"] == max(0, total + invoice["starting_balance"])
    assert invoice["amount_paid"] + invoice["amount_remaining"] == invoice["amount_due"]
    if invoice["status"] != "draft":
        assert invoice["ending_balance"] == invoice["starting_balance"] + total - invoice["amount_due"]
    for line in invoice["_lines"]:
        if "_meter" in line:
            assert line["amount"] == amounts.charge(line["_unit"], line["quantity"])


def billed_usage(account: SimulatedAccount) -> int:
    """Return the usage on final invoices and since then."""
    final = [one for one in account.invoices() if one["status"] != "draft"]
    billed = sum(line["quantity"] for one in final for line in one["_lines"] if "_meter" in line)
    waiting = [one for one in account.invoices() if one["status"] == "draft"]
    drafted = sum(line["quantity"] for one in waiting for line in one["_lines"] if "_meter" in line)
    subscription = account.world.store.get("subscription", account.subscription)
    pending = sum(line["quantity"] for line in subscription.get("_pending", []) if "_meter" in line)
    [item] = [one for one in subscription["items"]["data"] if "_usage_from" in one]
    meter = account.world.store.get("billing.meter", account.meter)
    since = meters.total(
        account.world, account.customer, meter, start=item["_usage_from"], end=item["current_period_end"]
    )
    return billed + drafted + pending + since
