"""What must be at Stripe before anything can be billed: meters, products and prices, all from the plans file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.billing.domain.price import PICOCENTS_PER_CENT, BilledMeter, is_metered, unit_picocents
from shared.plans import PRICES, Plan

CURRENCY = "usd"
BASE = "base"
"""The item of a plan that is paid whatever is used."""

PAID_PLANS = tuple(plan for plan in Plan if PRICES[plan].base_cents_per_month)


@dataclass(frozen=True, slots=True)
class Price:
    """A price of one item of a plan."""

    plan: Plan
    item: str
    """`base`, or the meter."""
    picocents: int
    """Of one unit, or of a month."""

    @property
    def lookup_key(self) -> str:
        """The name by which it is found, whatever id it has."""
        return lookup_key(self.plan, self.item)

    @property
    def meter(self) -> BilledMeter | None:
        """The meter that it charges for."""
        return None if self.item == BASE else BilledMeter(self.item)


@dataclass(frozen=True, slots=True)
class FoundPrice:
    """A price that is there."""

    price_id: str
    picocents: int
    in_use: bool
    """Whether a subscription has it that goes on."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What is there, by event name, plan and lookup key."""

    meters: frozenset[str]
    products: frozenset[Plan]
    prices: Mapping[str, FoundPrice]


class Difference(StrEnum):
    """What a set-up would do about one thing."""

    SAME = "same"
    ADD = "add"
    REPLACE = "replace"
    """A price cannot be changed: another one takes its lookup key, and it is archived."""
    REFUSE = "refuse"
    """It would change the price of subscriptions that go on."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing of the catalogue and what is to be done about it."""

    kind: str
    """`meter`, `product` or `price`."""
    name: str
    difference: Difference
    detail: str = ""


def lookup_key(plan: Plan, item: str) -> str:
    """`ainexus_pro_tokens_in`."""
    return f"ainexus_{plan}_{item}"


def items_of(plan: Plan) -> tuple[str, ...]:
    """The items that a subscription to this plan has."""
    return (BASE, *(BilledMeter if is_metered(plan) else ()))


def wanted_prices() -> tuple[Price, ...]:
    """Every price of every paid plan."""
    return tuple(price for plan in PAID_PLANS for price in _prices_of(plan))


def _prices_of(plan: Plan) -> Iterable[Price]:
    yield Price(plan, BASE, PRICES[plan].base_cents_per_month * PICOCENTS_PER_CENT)
    if is_metered(plan):
        yield from (Price(plan, meter.value, unit_picocents(plan, meter)) for meter in BilledMeter)


def compare(there: Catalogue) -> tuple[Step, ...]:
    """What a set-up has to do, in an order in which it can be done."""
    meters = [_step("meter", meter.event_name, meter.event_name in there.meters) for meter in BilledMeter]
    products = [_step("product", plan, plan in there.products) for plan in PAID_PLANS]
    return (*meters, *products, *(_of_price(price, there.prices.get(price.lookup_key)) for price in wanted_prices()))


def _step(kind: str, name: str, there: bool) -> Step:  # noqa: FBT001 — the answer to `in`
    return Step(kind, name, Difference.SAME if there else Difference.ADD)


def _of_price(price: Price, found: FoundPrice | None) -> Step:
    if found is None:
        return Step("price", price.lookup_key, Difference.ADD, f"{price.picocents} picocents")
    if found.picocents == price.picocents:
        return Step("price", price.lookup_key, Difference.SAME)
    difference = Difference.REFUSE if found.in_use else Difference.REPLACE
    return Step("price", price.lookup_key, difference, f"{found.picocents} → {price.picocents} picocents")
