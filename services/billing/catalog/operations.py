"""Setup of Stripe's meters, products and prices from the plans file."""

from collections.abc import Sequence, Set

from services.billing.catalog.domain import (
    PAID_PLANS,
    BilledMeter,
    Catalog,
    SetupAction,
    SetupStep,
    plan_setup,
    required_prices,
)
from services.billing.catalog.gateway import CatalogGateway
from services.billing.errors import PriceInUse


def set_up(gateway: CatalogGateway, *, dry_run: bool = False) -> Sequence[SetupStep]:
    """Create missing objects and replace outdated prices at Stripe; return the steps. Idempotent.

    Args:
        gateway: Stripe's meters, products and prices.
        dry_run: whether to return the steps without taking them.

    Raises:
        PriceInUse: a price of ongoing subscriptions would change. Nothing is done then.
    """
    existing = gateway.catalog()
    steps = plan_setup(existing)
    if dry_run:
        return steps
    if refused := [step.name for step in steps if step.action is SetupAction.REFUSE]:
        raise PriceInUse(", ".join(refused))
    _apply(gateway, existing, {step.name for step in steps if step.action is not SetupAction.SAME})
    return steps


def _apply(gateway: CatalogGateway, existing: Catalog, names: Set[str]) -> None:
    """Create meters and products before the prices that refer to them."""
    for meter in BilledMeter:
        if meter.event_name in names:
            gateway.add_meter(meter)
    for plan in PAID_PLANS:
        if plan in names:
            gateway.add_product(plan)
    for price in required_prices():
        if price.lookup_key in names:
            gateway.add_price(price, instead_of=existing.prices.get(price.lookup_key))
