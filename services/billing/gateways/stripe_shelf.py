"""Stripe's meters, products and prices."""

from typing import TYPE_CHECKING, Any

from services.billing.domain.catalogue import CURRENCY, PAID_PLANS, Catalogue, FoundPrice, Price, wanted_prices
from services.billing.domain.price import BilledMeter, decimal_cents
from services.billing.gateways.stripe_client import catalogue_missing, translated
from services.billing.gateways.stripe_objects import ITEM, PLAN, picocents_of
from shared.plans import Plan

if TYPE_CHECKING:
    from stripe import StripeClient

_KEYS_AT_ONCE = 10
"""Stripe's limit for `lookup_keys`."""


class StripeShelf:
    """See `Shelf`."""

    def __init__(self, client: "StripeClient") -> None:
        self._client: Any = client.v1

    def catalogue(self) -> Catalogue:
        """See `Shelf.catalogue`."""
        with translated():
            products = {str(one.id) for one in self._client.products.list({"limit": 100}).auto_paging_iter()}
            return Catalogue(
                meters=frozenset(self._meters()),
                products=frozenset(plan for plan in PAID_PLANS if _product(plan) in products),
                prices=self._prices(),
            )

    def add_meter(self, meter: BilledMeter) -> None:
        """See `Shelf.add_meter`."""
        with translated():
            self._client.billing.meters.create(
                {
                    "display_name": f"ainexus {meter.value.replace('_', ' ')}",
                    "event_name": meter.event_name,
                    "default_aggregation": {"formula": "sum"},
                    "customer_mapping": {"type": "by_id", "event_payload_key": "stripe_customer_id"},
                    "value_settings": {"event_payload_key": "value"},
                }
            )

    def add_product(self, plan: Plan) -> None:
        """See `Shelf.add_product`."""
        with translated():
            self._client.products.create(
                {"id": _product(plan), "name": f"ainexus {plan}", "metadata": {PLAN: plan.value}}
            )

    def add_price(self, price: Price, *, instead_of: FoundPrice | None) -> None:
        """See `Shelf.add_price`."""
        recurring: dict[str, str] = {"interval": "month", "usage_type": "licensed"}
        with translated():
            if price.meter:
                recurring |= {"usage_type": "metered", "meter": self._meter_id(price.meter)}
            self._client.prices.create(
                {
                    "currency": CURRENCY,
                    "product": _product(price.plan),
                    "nickname": price.lookup_key,
                    "lookup_key": price.lookup_key,
                    "transfer_lookup_key": instead_of is not None,
                    "unit_amount_decimal": decimal_cents(price.picocents),
                    "recurring": recurring,
                    "metadata": {PLAN: price.plan.value, ITEM: price.item},
                }
            )
            if instead_of:
                self._client.prices.update(instead_of.price_id, {"active": False})

    def _meters(self) -> dict[str, str]:
        """The ids of the active meters, by event name."""
        listed = self._client.billing.meters.list({"status": "active", "limit": 100})
        return {str(one.event_name): str(one.id) for one in listed.auto_paging_iter()}

    def _meter_id(self, meter: BilledMeter) -> str:
        found = self._meters().get(meter.event_name)
        if found is None:
            raise catalogue_missing(meter.event_name)
        return found

    def _prices(self) -> dict[str, FoundPrice]:
        keys = [price.lookup_key for price in wanted_prices()]
        found: dict[str, FoundPrice] = {}
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            asked = {"lookup_keys": keys[start : start + _KEYS_AT_ONCE], "active": True, "limit": 100}
            for price in self._client.prices.list(asked).auto_paging_iter():
                used = self._client.subscriptions.list({"price": price.id, "limit": 1})
                found[str(price.lookup_key)] = FoundPrice(
                    str(price.id), picocents_of(price.to_dict()), in_use=bool(used.data)
                )
        return found


def _product(plan: Plan) -> str:
    return f"ainexus_{plan}"
