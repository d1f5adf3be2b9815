"""Money in integers of cents; a price's decimals are exact, and half a cent goes away from zero."""

from decimal import Decimal
from fractions import Fraction

from infra.local.stripe.errors import refuse

DECIMALS = 12
"""How many a price may have, in cents."""


def decimal_cents(text: str, *, param: str) -> Decimal:
    """A price in cents.

    Raises:
        StripeError: it is none, or has too many decimals.
    """
    cents = Decimal(text) if text.replace(".", "", 1).isdecimal() else None
    if cents is None or -int(cents.as_tuple().exponent) > DECIMALS:
        refuse(f"Invalid decimal: {text}; at most {DECIMALS} decimal places", param=param)
    return cents


def plain(cents: Decimal) -> str:
    """A price as Stripe writes it: without an exponent and without zeros at its end."""
    text = f"{cents:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def charge(unit: str, quantity: int) -> int:
    """The cents for a quantity at a price."""
    return rounded(Fraction(unit) * quantity)


def share(cents: int, *, part_s: int, whole_s: int) -> int:
    """The part of an amount that a part of its period is worth, to the second."""
    return rounded(Fraction(cents * part_s, whole_s))


def rounded(exact: Fraction) -> int:
    """Whole cents."""
    doubled = 2 * abs(exact) + 1
    whole = doubled.numerator // (2 * doubled.denominator)
    return whole if exact >= 0 else -whole
