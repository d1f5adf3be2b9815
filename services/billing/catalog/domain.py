"""Billed meters, their prices, and the meters, products and prices that billing requires at Stripe.

All prices come from the plans file. Unit prices are integers of picocents, 10⁻¹² cents. That is the precision of prices
at Stripe (https://docs.stripe.com/api/prices/object#price_object-unit_amount_decimal).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.meters import Meter
from shared.plans import PRICES, Plan, Prices

PICOCENTS_PER_CENT = 10**12
PICOCENTS_PER_NANO_USD = 10**5
BYTES_PER_GB, BYTES_PER_MB, MB_PER_GB = 10**9, 10**6, 1_000
HOURS_PER_MONTH = 730


class BilledMeter(StrEnum):
    """The meters that a metered plan charges for. The name contains the unit."""

    TOKENS_IN = "tokens_in"
    TOKENS_OUT = "tokens_out"
    STORAGE_MB_HOURS = "storage_mb_hours"
    EGRESS_BYTES = "egress_bytes"

    @property
    def source(self) -> Meter:
        """Return the meter that counts the usage."""
        return Meter.STORAGE_BYTE_HOURS if self is BilledMeter.STORAGE_MB_HOURS else Meter(self.value)

    @property
    def counted_per_unit(self) -> int:
        """Return the amount of the source meter in one billed unit."""
        return BYTES_PER_MB if self is BilledMeter.STORAGE_MB_HOURS else 1

    @property
    def event_name(self) -> str:
        """Return the name of the meter's events at Stripe."""
        return f"ainexus_{self.value}"


def unit_picocents(plan: Plan, meter: BilledMeter) -> int:
    """Return the price of one unit, to the twelfth decimal of a cent."""
    prices = PRICES[plan]
    match meter:
        case BilledMeter.TOKENS_IN:
            return prices.token_in_nano_usd * PICOCENTS_PER_NANO_USD
        case BilledMeter.TOKENS_OUT:
            return prices.token_out_nano_usd * PICOCENTS_PER_NANO_USD
        case BilledMeter.STORAGE_MB_HOURS:
            return divide_rounded(
                prices.storage_gb_month_nano_usd * PICOCENTS_PER_NANO_USD, HOURS_PER_MONTH * MB_PER_GB
            )
        case BilledMeter.EGRESS_BYTES:
            return divide_rounded(prices.egress_gb_nano_usd * PICOCENTS_PER_NANO_USD, BYTES_PER_GB)


def is_metered(plan: Plan) -> bool:
    """Return whether the plan charges for usage."""
    return PRICES[plan] != Prices(PRICES[plan].base_cents_per_month)


def cents(quantity: int, *, picocents: int) -> int:
    """Return the charge for a quantity in cents, rounded as on an invoice. A quantity corrected to below 0 costs 0."""
    return divide_rounded(max(quantity, 0) * picocents, PICOCENTS_PER_CENT)


def nano_usd(quantity: int, *, picocents: int) -> int:
    """Return the charge for a quantity in nano-USD, before it is rounded to cents."""
    return divide_rounded(max(quantity, 0) * picocents, PICOCENTS_PER_NANO_USD)


def divide_rounded(amount: int, by: int) -> int:
    """Divide and round to the nearest integer, halves up."""
    return (2 * amount + by) // (2 * by)


def format_cents(picocents: int) -> str:
    """Format a price in cents as Stripe does, for example `0.0001`."""
    whole, rest = divmod(picocents, PICOCENTS_PER_CENT)
    return f"{whole}.{rest:012d}".rstrip("0").rstrip(".")


CURRENCY = "usd"
BASE = "base"
"""The item of a plan's monthly base price."""

PAID_PLANS = tuple(plan for plan in Plan if PRICES[plan].base_cents_per_month)


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one item of a plan."""

    plan: Plan
    item: str
    """`base` or the meter."""
    picocents: int
    """The price of one unit, or of one month for `base`."""

    @property
    def lookup_key(self) -> str:
        """Return the lookup key, which finds the price without its id at Stripe."""
        return lookup_key(self.plan, self.item)

    @property
    def meter(self) -> BilledMeter | None:
        """Return the meter that the price charges for, or None for the base price."""
        return None if self.item == BASE else BilledMeter(self.item)


@dataclass(frozen=True, slots=True)
class StripePrice:
    """A price that exists at Stripe."""

    price_id: str
    picocents: int
    in_use: bool
    """Whether any ongoing subscription has this price."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """The objects that exist at Stripe, by event name, plan and lookup key."""

    meters: frozenset[str]
    products: frozenset[Plan]
    prices: Mapping[str, StripePrice]


class SetupAction(StrEnum):
    """The change that a setup makes to one object."""

    SAME = "same"
    ADD = "add"
    REPLACE = "replace"
    """Prices are immutable at Stripe, so a new price takes over the lookup key and the old one is archived."""
    REFUSE = "refuse"
    """The change is refused, because ongoing subscriptions have the old price."""


@dataclass(frozen=True, slots=True)
class SetupStep:
    """One object of the catalog, and the change to it."""

    kind: str
    """`meter`, `product` or `price`."""
    name: str
    action: SetupAction
    detail: str = ""


def lookup_key(plan: Plan, item: str) -> str:
    """Return the lookup key of a price, for example `ainexus_pro_tokens_in`."""
    return f"ainexus_{plan}_{item}"


def items_of(plan: Plan) -> tuple[str, ...]:
    """Return the items of a subscription to this plan."""
    return (BASE, *(BilledMeter if is_metered(plan) else ()))


def required_prices() -> tuple[Price, ...]:
    """Return every price of every paid plan."""
    return tuple(price for plan in PAID_PLANS for price in _prices_of(plan))


def _prices_of(plan: Plan) -> Iterable[Price]:
    yield Price(plan, BASE, PRICES[plan].base_cents_per_month * PICOCENTS_PER_CENT)
    if is_metered(plan):
        yield from (Price(plan, meter.value, unit_picocents(plan, meter)) for meter in BilledMeter)


def plan_setup(existing: Catalog) -> tuple[SetupStep, ...]:
    """Return the steps of a setup, in an order that can be carried out."""
    meters = [_step("meter", meter.event_name, meter.event_name in existing.meters) for meter in BilledMeter]
    products = [_step("product", plan, plan in existing.products) for plan in PAID_PLANS]
    return (
        *meters,
        *products,
        *(_price_step(price, existing.prices.get(price.lookup_key)) for price in required_prices()),
    )


def _step(kind: str, name: str, exists: bool) -> SetupStep:  # noqa: FBT001 — the answer to `in`
    return SetupStep(kind, name, SetupAction.SAME if exists else SetupAction.ADD)


def _price_step(price: Price, existing: StripePrice | None) -> SetupStep:
    if existing is None:
        return SetupStep("price", price.lookup_key, SetupAction.ADD, f"{price.picocents} picocents")
    if existing.picocents == price.picocents:
        return SetupStep("price", price.lookup_key, SetupAction.SAME)
    action = SetupAction.REFUSE if existing.in_use else SetupAction.REPLACE
    return SetupStep("price", price.lookup_key, action, f"{existing.picocents} → {price.picocents} picocents")
