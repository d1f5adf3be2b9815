"""Money is an integer of nano-USD; a float never touches it."""

from decimal import Decimal

NANO_PER_USD = 1_000_000_000


def nano_usd(amount: str | Decimal) -> int:
    """The exact nano-USD of an amount in USD.

    Raises:
        ValueError: the amount has a part smaller than a nano-USD.
    """
    scaled = Decimal(amount) * NANO_PER_USD
    if scaled != scaled.to_integral_value():
        msg = f"{amount} USD is not a whole number of nano-USD"
        raise ValueError(msg)
    return int(scaled)
