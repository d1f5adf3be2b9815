"""Whatever happens in whatever order: lines add up to totals, and every unit of usage is billed once."""

from dataclasses import dataclass, field
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.local.stripe import amounts, meters
from infra.local.stripe.api import Request, answer
from infra.local.stripe.changes import BEHAVIOURS
from infra.local.stripe.store import Json, Store
from infra.local.stripe.timeline import pass_time
from infra.local.stripe.world import World

START = 1_790_000_000
DAY_S = 86_400
PRICES = {"pro": (2_900, "0.0001"), "enterprise": (29_900, "0.00005")}
KEY = "sk_test_local_of_a_test"


@dataclass
class Account:
    """An account in memory, at a time of its own, with one subscriber."""

    now: int = START
    world: World = field(default_factory=lambda: World(Store(None), "http://localhost", KEY, "whsec_of_a_test"))
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
        made = self.post(
            "/v1/subscriptions",
            ("customer", self.customer),
            ("items[0][price]", base),
            ("items[1][price]", tokens),
        )
        self.subscription: str = made["id"]

    def post(self, path: str, *fields: tuple[str, object]) -> Json:
        """One request, which must be good."""
        body = urlencode([(name, str(value)) for name, value in fields])
        with self.world.at(self.now):
            given = answer(self.world, Request("POST", path, "", {"authorization": f"Bearer {KEY}"}, body))
        assert given.status == 200, given.body
        return given.body

    def use(self, amount: int) -> None:
        """Usage, now."""
        payload = (("payload[stripe_customer_id]", self.customer), ("payload[value]", amount))
        self.post("/v1/billing/meter_events", ("event_name", "tokens"), ("timestamp", self.now), *payload)
        self.sent += amount

    def switch(self, plan: str, behaviour: str) -> None:
        """Another plan, now."""
        items = self.world.store.get("subscription", self.subscription)["items"]["data"]
        prices = zip(items, self.plans[plan], strict=True)
        fields = [
            pair
            for index, (item, price) in enumerate(prices)
            for pair in ((f"items[{index}][id]", item["id"]), (f"items[{index}][price]", price))
        ]
        self.post(f"/v1/subscriptions/{self.subscription}", *fields, ("proration_behavior", behaviour))

    def pass_time(self, seconds: int) -> None:
        """Time, with all that it brings."""
        pass_time(self.world, clock=None, until=self.now + seconds)
        self.now += seconds

    def invoices(self) -> list[Json]:
        """All invoices."""
        return self.world.store.all("invoice")

    def _prices(self, name: str) -> tuple[str, str]:
        base, each = PRICES[name]
        product = self.post("/v1/products", ("name", name))["id"]
        common: list[tuple[str, object]] = [("product", product), ("currency", "usd"), ("recurring[interval]", "month")]
        licensed = self.post("/v1/prices", *common, ("unit_amount", base))["id"]
        metered = (("recurring[usage_type]", "metered"), ("recurring[meter]", self.meter))
        return licensed, self.post("/v1/prices", *common, *metered, ("unit_amount_decimal", each))["id"]


@dataclass(frozen=True)
class Used:
    """Usage."""

    amount: int

    def happen(self, account: Account) -> None:
        account.use(self.amount)


@dataclass(frozen=True)
class Passed:
    """Time."""

    seconds: int

    def happen(self, account: Account) -> None:
        account.pass_time(self.seconds)


@dataclass(frozen=True)
class Switched:
    """Another plan."""

    plan: str
    behaviour: str

    def happen(self, account: Account) -> None:
        account.switch(self.plan, self.behaviour)


STEPS = st.lists(
    st.builds(Used, st.integers(0, 10**12))
    | st.builds(Passed, st.integers(1, 20 * DAY_S))
    | st.builds(Switched, st.sampled_from(sorted(PRICES)), st.sampled_from(BEHAVIOURS)),
    max_size=12,
)
"""What may happen to an account."""


@settings(max_examples=40, deadline=None)
@given(happens=STEPS)
def test_lines_are_totals_and_usage_is_billed_once(happens: list[Used | Passed | Switched]) -> None:
    account = Account()
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


def billed_usage(account: Account) -> int:
    """What stands on invoices that are final, and what was used since."""
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
