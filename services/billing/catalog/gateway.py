"""The gateway to Stripe's meters, products and prices."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Protocol

from services.billing.catalog.domain import (
    BASE,
    CURRENCY,
    PAID_PLANS,
    PICOCENTS_PER_CENT,
    BilledMeter,
    Catalog,
    Price,
    StripePrice,
    format_cents,
    items_of,
    lookup_key,
    required_prices,
)
from services.billing.stripe_api.gateway.client import catalog_missing, translate_errors
from services.billing.stripe_api.gateway.objects import Json, StripeGateway, nested
from shared.plans import Plan

PLAN, ITEM = "plan", "item"
"""Keys in the metadata of our prices."""

_KEYS = {lookup_key(plan, item): (plan, item) for plan in PAID_PLANS for item in items_of(plan)}
_KEYS_AT_ONCE = 10
"""Stripe's maximum number of `lookup_keys` in a request."""


class CatalogGateway(Protocol):
    """Stripe's catalog of meters, products and prices."""

    def catalog(self) -> Catalog:
        """Return our objects that exist at Stripe."""
        ...

    def add_meter(self, meter: BilledMeter) -> None:
        """Create a meter."""
        ...

    def add_product(self, plan: Plan) -> None:
        """Create the product of a plan."""
        ...

    def add_price(self, price: Price, *, instead_of: StripePrice | None) -> None:
        """Create a price. It takes over the lookup key of `instead_of`, which is archived."""
        ...


class StripeCatalogGateway(StripeGateway):
    """See `CatalogGateway`."""

    def catalog(self) -> Catalog:
        """See `CatalogGateway.catalog`."""
        with translate_errors():
            products = {str(product.id) for product in self._client.products.list({"limit": 100}).auto_paging_iter()}
            return Catalog(
                meters=frozenset(meter_ids(self._client)),
                products=frozenset(plan for plan in PAID_PLANS if _product(plan) in products),
                prices=self._prices(),
            )

    def add_meter(self, meter: BilledMeter) -> None:
        """See `CatalogGateway.add_meter`."""
        with translate_errors():
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
        """See `CatalogGateway.add_product`."""
        with translate_errors():
            self._client.products.create(
                {"id": _product(plan), "name": f"ainexus {plan}", "metadata": {PLAN: plan.value}}
            )

    def add_price(self, price: Price, *, instead_of: StripePrice | None) -> None:
        """See `CatalogGateway.add_price`."""
        recurring: dict[str, str] = {"interval": "month", "usage_type": "licensed"}
        with translate_errors():
            if price.meter:
                recurring |= {"usage_type": "metered", "meter": self._meter_id(price.meter)}
            self._client.prices.create(
                {
                    "currency": CURRENCY,
                    "product": _product(price.plan),
                    "nickname": price.lookup_key,
                    "lookup_key": price.lookup_key,
                    "transfer_lookup_key": instead_of is not None,
                    "unit_amount_decimal": format_cents(price.picocents),
                    "recurring": recurring,
                    "metadata": {PLAN: price.plan.value, ITEM: price.item},
                }
            )
            if instead_of:
                self._client.prices.update(instead_of.price_id, {"active": False})

    def _meter_id(self, meter: BilledMeter) -> str:
        meter_id = meter_ids(self._client).get(meter.event_name)
        if meter_id is None:
            raise catalog_missing(meter.event_name)
        return meter_id

    def _prices(self) -> dict[str, StripePrice]:
        keys = [price.lookup_key for price in required_prices()]
        return dict(self._read_prices(keys))

    def _read_prices(self, keys: list[str]) -> Iterator[tuple[str, StripePrice]]:
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            query = {"lookup_keys": keys[start : start + _KEYS_AT_ONCE], "active": True, "limit": 100}
            for price in self._client.prices.list(query).auto_paging_iter():
                used = self._client.subscriptions.list({"price": price.id, "limit": 1})
                picocents = _picocents_of(price.to_dict())
                yield str(price.lookup_key), StripePrice(str(price.id), picocents, in_use=bool(used.data))


def meter_ids(client: Any) -> dict[str, str]:  # noqa: ANN401 — the SDK's client
    """Return the ids of the active meters by event name."""
    listed = client.billing.meters.list({"status": "active", "limit": 100})
    return {str(meter.event_name): str(meter.id) for meter in listed.auto_paging_iter()}


def price_ids(client: Any, plan: Plan) -> dict[str, str]:  # noqa: ANN401 — the SDK's client
    """Return the price ids of a plan by item.

    Raises:
        CatalogMissing: a price does not exist at Stripe.
    """
    keys = {lookup_key(plan, item): item for item in items_of(plan)}
    with translate_errors():
        listed = client.prices.list({"lookup_keys": list(keys), "active": True, "limit": 100})
        ids = {keys[str(price.lookup_key)]: str(price.id) for price in listed.auto_paging_iter()}
    if set(ids) != set(keys.values()):
        raise catalog_missing(lookup_key(plan, "*"))
    return {item: ids[item] for item in keys.values()}


def plan_and_item_of(price: Json) -> tuple[Plan, str] | None:
    """Return the plan and item of a price, by its metadata or else its lookup key; None if the price is not ours."""
    metadata = nested(price, "metadata")
    if metadata.get(PLAN) in set(PAID_PLANS):
        return Plan(metadata[PLAN]), str(metadata.get(ITEM, BASE))
    return _KEYS.get(str(price.get("lookup_key")))


def _picocents_of(price: Json) -> int:
    """Return the price of one unit in picocents, from Stripe's decimal number of cents."""
    return int(Decimal(str(price.get("unit_amount_decimal") or 0)) * PICOCENTS_PER_CENT)


def _product(plan: Plan) -> str:
    return f"ainexus_{plan}"
