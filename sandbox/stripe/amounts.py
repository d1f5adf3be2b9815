"""Money as integers of cents. Prices are exact decimals, and half a cent rounds away from zero."""

from decimal import Decimal
from fractions import Fraction

from sandbox.stripe.errors import refuse

DECIMALS = 12
"""The largest number of decimals of a price in cents."""


def decimal_cents(text: str, *, param: str) -> Decimal:
    """Parse a price in cents.

    Raises:
        StripeError: it is none, or has too many decimals.
    """
    cents = Decimal(text) if text.replace(".", "", 1).isdecimal() else None
    if cents is None or -int(cents.as_tuple().exponent) > DECIMALS:
        refuse(f"Invalid decimal: {text}; at most {DECIMALS} decimal places", param=param)
    return cents


def plain(cents: Decimal) -> str:
    """Format a price as Stripe does: without an exponent and trailing zeros."""
    text = f"{cents:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def charge(unit: str, quantity: int) -> int:
    """Return the cents for a quantity at a price."""
    return rounded(Fraction(unit) * quantity)


def share(cents: int, *, part_s: int, whole_s: int) -> int:
    """Prorate an amount by a part of its period, to the second."""
    return rounded(Fraction(cents * part_s, whole_s))


def rounded(exact: Fraction) -> int:
    """Round to whole cents."""
    doubled = 2 * abs(exact) + 1
    half_up = doubled.numerator // (2 * doubled.denominator)
    return half_up if exact >= 0 else -half_up
