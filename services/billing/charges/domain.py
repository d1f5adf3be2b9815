"""The charges of a period so far, and their forecast, line by line."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.billing.catalog.domain import (
    BilledMeter,
    cents,
    divide_rounded,
    format_cents,
    is_metered,
    nano_usd,
    unit_picocents,
)
from services.billing.customers.domain.period import BillingPeriod
from shared.plans import PRICES, Plan

NANO_USD_PER_CENT = 10**7


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line of a bill."""

    item: str
    """`base` or the meter."""
    quantity: int
    unit_price_cents: str
    """The unit price in cents as a decimal number, without rounding."""
    charge_nano_usd: int
    """The charge before it is rounded to cents."""
    amount_cents: int
    """The charge as on the invoice, rounded to cents."""


@dataclass(frozen=True, slots=True)
class Bill:
    """The lines of a bill."""

    lines: tuple[BillLine, ...]

    @property
    def amount_cents(self) -> int:
        """Return the sum of the rounded lines."""
        return sum(line.amount_cents for line in self.lines)

    @property
    def charge_nano_usd(self) -> int:
        """Return the sum of the lines before rounding."""
        return sum(line.charge_nano_usd for line in self.lines)


Quantities = Mapping[BilledMeter, int]


def calculate_bill(plan: Plan, quantities: Quantities) -> Bill:
    """Return the bill of a plan: its base price, and a line for each metered price even if the quantity is 0."""
    base = PRICES[plan].base_cents_per_month
    lines = [BillLine("base", 1, str(base), base * NANO_USD_PER_CENT, base)]
    if is_metered(plan):
        lines += [_metered_line(plan, meter, quantities.get(meter, 0)) for meter in BilledMeter]
    return Bill(tuple(lines))


def _metered_line(plan: Plan, meter: BilledMeter, quantity: int) -> BillLine:
    price = unit_picocents(plan, meter)
    return BillLine(
        item=meter.value,
        quantity=quantity,
        unit_price_cents=format_cents(price),
        charge_nano_usd=nano_usd(quantity, picocents=price),
        amount_cents=cents(quantity, picocents=price),
    )


def forecast_bill(plan: Plan, quantities: Quantities, *, period: BillingPeriod, counted_until: datetime) -> Bill:
    """Return the bill of the whole period if usage continues at the same rate."""
    elapsed = BillingPeriod(period.start, min(max(counted_until, period.start), period.end)).seconds
    if not elapsed:
        return calculate_bill(plan, quantities)
    return calculate_bill(
        plan, {meter: divide_rounded(amount * period.seconds, elapsed) for meter, amount in quantities.items()}
    )
