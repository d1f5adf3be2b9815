"""Setting up Stripe's meters, products and prices from the plans file."""

from collections.abc import Sequence, Set

from services.billing.domain.catalogue import PAID_PLANS, Catalogue, Difference, Step, compare, wanted_prices
from services.billing.domain.price import BilledMeter
from services.billing.errors import PriceInUse
from services.billing.gateways.payments import Shelf


def set_up(shelf: Shelf, *, only_look: bool = False) -> Sequence[Step]:
    """Make what is missing; says what was to be done. Done again, it does nothing.

    Raises:
        PriceInUse: a price would change under subscriptions that go on; then nothing is done.
    """
    there = shelf.catalogue()
    steps = compare(there)
    if only_look:
        return steps
    if refused := [step.name for step in steps if step.difference is Difference.REFUSE]:
        raise PriceInUse(", ".join(refused))
    _carry_out(shelf, there, {step.name for step in steps if step.difference is not Difference.SAME})
    return steps


def _carry_out(shelf: Shelf, there: Catalogue, names: Set[str]) -> None:
    """Meters and products come before the prices that name them."""
    for meter in BilledMeter:
        if meter.event_name in names:
            shelf.add_meter(meter)
    for plan in PAID_PLANS:
        if plan in names:
            shelf.add_product(plan)
    for price in wanted_prices():
        if price.lookup_key in names:
            shelf.add_price(price, instead_of=there.prices.get(price.lookup_key))
