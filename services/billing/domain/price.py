"""What is billed, by which unit, and at which price.

A price of one unit is an integer of picocents, 10⁻¹² cents: that is as exact as Stripe keeps a price
(https://docs.stripe.com/api/prices/object#price_object-unit_amount_decimal).
"""

from enum import StrEnum

from shared.meters import Meter
from shared.plans import PRICES, Plan, Prices

PICOCENTS_PER_CENT = 10**12
PICOCENTS_PER_NANO_USD = 10**5
BYTES_PER_GB, BYTES_PER_MB, MB_PER_GB = 10**9, 10**6, 1_000
HOURS_PER_MONTH = 730


class BilledMeter(StrEnum):
    """What a metered plan charges for; the unit is in the name."""

    TOKENS_IN = "tokens_in"
    TOKENS_OUT = "tokens_out"
    STORAGE_MB_HOURS = "storage_mb_hours"
    EGRESS_BYTES = "egress_bytes"

    @property
    def source(self) -> Meter:
        """The meter that it is counted by."""
        return Meter.STORAGE_BYTE_HOURS if self is BilledMeter.STORAGE_MB_HOURS else Meter(self.value)

    @property
    def counted_per_unit(self) -> int:
        """How much of its source makes one unit."""
        return BYTES_PER_MB if self is BilledMeter.STORAGE_MB_HOURS else 1

    @property
    def event_name(self) -> str:
        """What Stripe knows it by."""
        return f"ainexus_{self.value}"


def unit_picocents(plan: Plan, meter: BilledMeter) -> int:
    """The price of one unit, to the twelfth decimal of a cent."""
    prices = PRICES[plan]
    match meter:
        case BilledMeter.TOKENS_IN:
            return prices.token_in_nano_usd * PICOCENTS_PER_NANO_USD
        case BilledMeter.TOKENS_OUT:
            return prices.token_out_nano_usd * PICOCENTS_PER_NANO_USD
        case BilledMeter.STORAGE_MB_HOURS:
            return divided(prices.storage_gb_month_nano_usd * PICOCENTS_PER_NANO_USD, HOURS_PER_MONTH * MB_PER_GB)
        case BilledMeter.EGRESS_BYTES:
            return divided(prices.egress_gb_nano_usd * PICOCENTS_PER_NANO_USD, BYTES_PER_GB)


def is_metered(plan: Plan) -> bool:
    """Whether usage costs anything on this plan."""
    return PRICES[plan] != Prices(PRICES[plan].base_cents_per_month)


def cents(quantity: int, *, picocents: int) -> int:
    """The cents of so many units, as they stand on an invoice; usage that was corrected to less than none costs 0."""
    return divided(max(quantity, 0) * picocents, PICOCENTS_PER_CENT)


def nano_usd(quantity: int, *, picocents: int) -> int:
    """The same before it is rounded to cents."""
    return divided(max(quantity, 0) * picocents, PICOCENTS_PER_NANO_USD)


def divided(amount: int, by: int) -> int:
    """The nearest integer; halves go up."""
    return (2 * amount + by) // (2 * by)


def decimal_cents(picocents: int) -> str:
    """The price in cents as Stripe writes it: `0.0001`."""
    whole, rest = divmod(picocents, PICOCENTS_PER_CENT)
    return f"{whole}.{rest:012d}".rstrip("0").rstrip(".")
