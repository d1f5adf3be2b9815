"""What a period costs so far, and what it will cost if it goes on like this: line by line."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.billing.domain.price import (
    BilledMeter,
    cents,
    decimal_cents,
    divided,
    is_metered,
    nano_usd,
    unit_picocents,
)
from shared.plans import PRICES, Plan

NANO_USD_PER_CENT = 10**7
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open range of time that is billed together."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> int:
        """How long it is."""
        return (self.end - self.start) // _SECOND


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill."""

    item: str
    """`base`, or the meter."""
    quantity: int
    unit_price_cents: str
    """A decimal number, as exact as it is applied."""
    charge_nano_usd: int
    """Before it is rounded."""
    amount_cents: int
    """As it stands on the invoice."""


@dataclass(frozen=True, slots=True)
class Bill:
    """Lines that add up."""

    lines: tuple[Line, ...]

    @property
    def amount_cents(self) -> int:
        """What is to be paid."""
        return sum(line.amount_cents for line in self.lines)

    @property
    def charge_nano_usd(self) -> int:
        """The same before any line was rounded."""
        return sum(line.charge_nano_usd for line in self.lines)


Quantities = Mapping[BilledMeter, int]


def bill(plan: Plan, quantities: Quantities) -> Bill:
    """The base price and every metered price of the plan, whatever was used."""
    base = PRICES[plan].base_cents_per_month
    lines = [Line("base", 1, str(base), base * NANO_USD_PER_CENT, base)]
    if is_metered(plan):
        lines += [_metered(plan, meter, quantities.get(meter, 0)) for meter in BilledMeter]
    return Bill(tuple(lines))


def _metered(plan: Plan, meter: BilledMeter, quantity: int) -> Line:
    price = unit_picocents(plan, meter)
    return Line(
        item=meter.value,
        quantity=quantity,
        unit_price_cents=decimal_cents(price),
        charge_nano_usd=nano_usd(quantity, picocents=price),
        amount_cents=cents(quantity, picocents=price),
    )


def forecast(plan: Plan, quantities: Quantities, *, period: Period, counted_until: datetime) -> Bill:
    """The bill of the whole period if usage goes on as it did until then."""
    elapsed = Period(period.start, min(max(counted_until, period.start), period.end)).seconds
    if not elapsed:
        return bill(plan, quantities)
    return bill(plan, {meter: divided(amount * period.seconds, elapsed) for meter, amount in quantities.items()})


@dataclass(frozen=True, slots=True)
class Proration:
    """What a change of plan within a period gives back and asks for."""

    credit_cents: int
    """For what is left of the period on the plan that is left."""
    charge_cents: int
    """For the same time on the plan that is taken."""


def proration(before: Plan, after: Plan, *, period: Period, at: datetime) -> Proration:
    """The base prices of what is left of the period, to the second."""
    left = Period(max(at, period.start), period.end).seconds if at < period.end else 0

    def share(plan: Plan) -> int:
        return divided(PRICES[plan].base_cents_per_month * left, period.seconds)

    return Proration(credit_cents=share(before), charge_cents=share(after))


def month_of(moment: datetime) -> Period:
    """The UTC calendar month: the period of those that no subscription gives one."""
    start = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return Period(start, (start + timedelta(days=32)).replace(day=1))
