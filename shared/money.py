"""Amounts of money: integers of nano-USD, never floats."""

from decimal import Decimal

NANO_PER_USD = 1_000_000_000


def nano_usd(amount: str | Decimal) -> int:
    """Return an amount in USD as an exact number of nano-USD.

    Raises:
        ValueError: the amount is not a whole number of nano-USD.
    """
    scaled = Decimal(amount) * NANO_PER_USD
    if scaled != scaled.to_integral_value():
        msg = f"{amount} USD is not a whole number of nano-USD"
        raise ValueError(msg)
    return int(scaled)
