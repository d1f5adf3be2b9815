"""Stripe itself: customers, subscriptions, invoices and meter events."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from services.billing.domain.catalogue import items_of, lookup_key
from services.billing.domain.invoice import Invoice
from services.billing.domain.notice import PaymentRef
from services.billing.domain.price import BilledMeter
from services.billing.domain.subscription import Subscription, SubscriptionState
from services.billing.domain.usage import Entry
from services.billing.errors import CheckoutClosed, PaymentRefused, RefusedByStripe, UsageNotAccepted
from services.billing.gateways import stripe_objects as objects
from services.billing.gateways.payments import Checkout, Order, Step
from services.billing.gateways.stripe_client import catalogue_missing, translated
from services.billing.gateways.stripe_objects import PLAN, TENANT, Json, moment, seconds
from shared.plans import Plan

if TYPE_CHECKING:
    from stripe import StripeClient

_HAS_IT = re.compile("duplicate_meter_event|already exists with identifier")
"""Stripe answers 400 to an identifier that it knows; which of the two it says is not documented."""

_OWING = frozenset({SubscriptionState.PAST_DUE, SubscriptionState.UNPAID})
_FINAL_REFUSALS = frozenset({"timestamp_too_far_in_past", "meter_event_invalid_value", "meter_event_value_not_found"})
"""Statements about this very event. https://docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api"""
_NO_METER = frozenset({"no_meter", "archived_meter", "resource_missing"})
_NOT_FOUND = 404
_OPEN = "open"
_CHECKOUT_KEY = "checkout_key"
"""The metadata of a checkout that was opened with an Idempotency-Key."""
MAX_SUBSCRIPTIONS = 300
"""The newest subscriptions of a customer that are read."""


class StripePayments:
    """See `Payments`."""

    def __init__(self, client: "StripeClient") -> None:
        # Its parameters are typed dicts with hundreds of fields; what is sent is checked against Stripe's own
        # description in the tests.
        self._client: Any = client.v1
        self._places: dict[str, tuple[Plan, str]] = {}
        self._meters: dict[str, str] = {}

    def create_customer(self, tenant_id: str) -> str:
        """See `Payments.create_customer`."""
        with translated():
            made = self._client.customers.create(
                {"name": tenant_id, "metadata": {TENANT: tenant_id}}, {"idempotency_key": f"customer:{tenant_id}"}
            )
        return str(made.id)

    def tenant_of(self, customer_id: str) -> str | None:
        """See `Payments.tenant_of`."""
        found = _unless_missing(lambda: self._client.customers.retrieve(customer_id))
        return None if found is None or found.get("deleted") else objects.within(found, "metadata").get(TENANT)

    def subscriptions_of(self, customer_id: str) -> list[Subscription]:
        """See `Payments.subscriptions_of`."""
        query = {"customer": customer_id, "status": "all", "limit": 100, "expand": ["data.schedule"]}
        with translated():
            found = [_plain(one) for one in islice(self._list(self._client.subscriptions, query), MAX_SUBSCRIPTIONS)]
        return [one for said in found if (one := objects.subscription_of(said, failing_since=self._failing(said)))]

    def _failing(self, said: Json) -> datetime | None:
        """Return since when a payment of the subscription fails."""
        if said["status"] not in _OWING:
            return None
        query = {"subscription": str(said["id"]), "status": "open", "limit": 100}
        with translated():
            return objects.failing_since(_plain(one) for one in self._list(self._client.invoices, query))

    def invoice(self, invoice_id: str) -> Invoice | None:
        """See `Payments.invoice`."""
        said = _unless_missing(lambda: self._client.invoices.retrieve(invoice_id))
        if said is None:
            # A draft that was deleted.
            return None
        with translated():
            listed = self._client.invoices.line_items.list(invoice_id, {"limit": 100}).auto_paging_iter()
            lines = [_plain(one) for one in islice(listed, objects.MAX_LINES + 1)]
            self._learn(lines)
        return objects.invoice_of(said, lines=lines, places=self._places)

    def customer_of_payment(self, payment: PaymentRef) -> str | None:
        """See `Payments.customer_of_payment`."""
        found = None
        if payment.payment_intent_id:
            found = _unless_missing(lambda: self._client.payment_intents.retrieve(payment.payment_intent_id))
        if found is None and payment.charge_id:
            found = _unless_missing(lambda: self._client.charges.retrieve(payment.charge_id))
        return found.get("customer") if found else None

    def start_checkout(self, customer_id: str, order: Order, *, key: str | None) -> Checkout:
        """See `Payments.start_checkout`."""
        metadata = {TENANT: order.tenant_id}
        asked = {
            "mode": "subscription",
            "customer": customer_id,
            "client_reference_id": order.tenant_id,
            "line_items": [_line_item(item, price_id) for item, price_id in self._prices(order.plan).items()],
            "success_url": order.success_url,
            "cancel_url": order.cancel_url,
            "metadata": {**metadata, **({_CHECKOUT_KEY: key} if key else {})},
            "subscription_data": {"metadata": metadata},
        }
        with translated():
            made = self._client.checkout.sessions.create(asked, {"idempotency_key": key} if key else {})
            # To a key that it knows Stripe repeats its first response, whatever became of the page since.
            if key and self._client.checkout.sessions.retrieve(str(made.id)).status != _OPEN:
                raise CheckoutClosed
        return Checkout(str(made.id), str(made.url), moment(made.expires_at))

    def close_checkouts(self, customer_id: str, *, keep: str | None = None) -> None:
        """See `Payments.close_checkouts`."""
        query = {"customer": customer_id, "status": _OPEN, "limit": 100}
        with translated():
            found = [_plain(one) for one in self._list(self._client.checkout.sessions, query)]
        for session in found:
            if keep is None or objects.within(session, "metadata").get(_CHECKOUT_KEY) != keep:
                self._expire(str(session["id"]))

    def _expire(self, session_id: str) -> None:
        try:
            with translated():
                self._client.checkout.sessions.expire(session_id)
        except RefusedByStripe:
            with translated():
                is_open = self._client.checkout.sessions.retrieve(session_id).status == _OPEN
            if is_open:
                raise

    def open_portal(self, customer_id: str, *, return_url: str) -> str:
        """See `Payments.open_portal`."""
        with translated():
            made = self._client.billing_portal.sessions.create({"customer": customer_id, "return_url": return_url})
        return str(made.url)

    def change_plan(self, subscription: Subscription, plan: Plan) -> None:
        """See `Payments.change_plan`."""
        self.keep_plan(subscription)
        prices = self._prices(plan)
        with translated():
            there = self._items(subscription)
            changed = [
                {**({"id": there[item]} if item in there else {}), **_line_item(item, price_id)}
                for item, price_id in prices.items()
            ]
            left = [{"id": item_id, "deleted": True} for item, item_id in there.items() if item not in prices]
            self._client.subscriptions.update(
                subscription.subscription_id, {"items": [*changed, *left], "proration_behavior": "always_invoice"}
            )

    def change_plan_at_end(self, subscription: Subscription, plan: Plan) -> None:
        """See `Payments.change_plan_at_end`."""
        self.keep_plan(subscription)
        if plan is Plan.FREE:
            with translated():
                self._client.subscriptions.update(subscription.subscription_id, {"cancel_at_period_end": True})
            return
        later = self._prices(plan)
        with translated():
            made = _plain(
                self._client.subscription_schedules.create({"from_subscription": subscription.subscription_id})
            )
            first = made["phases"][0]
            self._client.subscription_schedules.update(
                str(made["id"]),
                {
                    "end_behavior": "release",
                    "phases": [
                        {
                            "items": [_kept_item(item) for item in first["items"]],
                            "start_date": first["start_date"],
                            "end_date": first["end_date"],
                        },
                        {
                            "items": [_line_item(item, price_id) for item, price_id in later.items()],
                            "duration": {"interval": "month", "interval_count": 1},
                            "proration_behavior": "none",
                            "metadata": {PLAN: plan.value},
                        },
                    ],
                },
            )

    def keep_plan(self, subscription: Subscription) -> None:
        """See `Payments.keep_plan`."""
        if subscription.next_plan is None:
            return
        with translated():
            said = _plain(self._client.subscriptions.retrieve(subscription.subscription_id))
            if said.get("schedule"):
                self._client.subscription_schedules.release(str(said["schedule"]))
            if said.get("cancel_at_period_end"):
                self._client.subscriptions.update(subscription.subscription_id, {"cancel_at_period_end": False})

    def end_now(self, subscription: Subscription) -> None:
        """See `Payments.end_now`."""
        with translated():
            self._client.subscriptions.cancel(subscription.subscription_id, {"invoice_now": True, "prorate": False})

    def end_duplicate(self, subscription_id: str) -> int:
        """See `Payments.end_duplicate`."""
        with translated():
            said = _plain(self._client.subscriptions.retrieve(subscription_id))
            if not said.get("ended_at"):
                self._client.subscriptions.cancel(subscription_id, {"invoice_now": False, "prorate": False})
            query = {"subscription": subscription_id, "limit": 100}
            return sum(self._give_back(_plain(one)) for one in self._list(self._client.invoices, query))

    def _give_back(self, invoice: Json) -> int:
        """Void what is unpaid and refund what is paid; return the refunded cents."""
        invoice_id, status = str(invoice["id"]), invoice["status"]
        if status == "draft":
            self._client.invoices.finalize_invoice(invoice_id, {"auto_advance": False})
        if status in {"draft", "open"}:
            self._client.invoices.void_invoice(invoice_id)
        refundable = int(invoice["amount_paid"]) - int(invoice["post_payment_credit_notes_amount"])
        if status != "paid" or refundable <= 0:
            return 0
        refund = {"invoice": invoice_id, "amount": refundable, "refund_amount": refundable, "reason": "duplicate"}
        self._client.credit_notes.create(refund, {"idempotency_key": f"duplicate:{invoice_id}"})
        return refundable

    def send(self, customer_id: str, entry: Entry) -> None:
        """See `Payments.send`."""
        asked = {
            "event_name": entry.meter.event_name,
            "identifier": entry.identifier,
            "timestamp": seconds(entry.stamped_at),
            "payload": {"stripe_customer_id": customer_id, "value": str(entry.quantity)},
        }
        try:
            with translated():
                self._client.billing.meter_events.create(asked)
        except RefusedByStripe as error:
            if _HAS_IT.search(str(error)):
                return
            if error.code in _FINAL_REFUSALS:
                raise
            if error.status == _NOT_FOUND or error.param == "event_name" or error.code in _NO_METER:
                raise catalogue_missing(entry.meter.event_name) from error
            raise UsageNotAccepted(str(error)) from error
        except PaymentRefused as error:
            raise UsageNotAccepted(str(error)) from error

    def sum_of(self, customer_id: str, meter: BilledMeter, *, start: datetime, end: datetime) -> int:
        """See `Payments.sum_of`."""
        return sum(amount for _, amount in self._sums(customer_id, meter, start=start, end=end))

    def sums_by(
        self, step: Step, customer_id: str, meter: BilledMeter, *, start: datetime, end: datetime
    ) -> dict[datetime, int]:
        """See `Payments.sums_by`."""
        return dict(self._sums(customer_id, meter, start=start, end=end, value_grouping_window=step))

    def _sums(
        self, customer_id: str, meter: BilledMeter, *, start: datetime, end: datetime, **asked: str
    ) -> list[tuple[datetime, int]]:
        asked_for = {"customer": customer_id, "start_time": seconds(start), "end_time": seconds(end), "limit": 100}
        with translated():
            found = self._client.billing.meters.event_summaries.list(self._meter(meter), {**asked_for, **asked})
            return [(moment(one.start_time), int(one.aggregated_value)) for one in found.auto_paging_iter()]

    def _list(self, listed: Any, query: Json) -> Iterator[Any]:  # noqa: ANN401 — the SDK's own objects
        return listed.list(query).auto_paging_iter()

    def _prices(self, plan: Plan) -> dict[str, str]:
        """The price ids of a plan, by item."""
        keys = {lookup_key(plan, item): item for item in items_of(plan)}
        with translated():
            listed = self._client.prices.list({"lookup_keys": list(keys), "active": True, "limit": 100})
            found = {keys[str(price.lookup_key)]: str(price.id) for price in listed.auto_paging_iter()}
        if set(found) != set(keys.values()):
            raise catalogue_missing(lookup_key(plan, "*"))
        return {item: found[item] for item in keys.values()}

    def _items(self, subscription: Subscription) -> dict[str, str]:
        """The ids of a subscription's items, by what they are for."""
        said = _plain(self._client.subscriptions.retrieve(subscription.subscription_id))
        places = {str(item["id"]): objects.place_of(item["price"]) for item in said["items"]["data"]}
        return {place[1]: item_id for item_id, place in places.items() if place}

    def _learn(self, lines: Sequence[Json]) -> None:
        """Look up the prices of these lines that are not known yet; a price never changes what it is for."""
        for price_id in {objects.price_of_line(line) for line in lines} - set(self._places) - {None}:
            place = objects.place_of(_plain(self._client.prices.retrieve(price_id)))
            if place and price_id:
                self._places[price_id] = place

    def _meter(self, meter: BilledMeter) -> str:
        """The id of a meter."""
        if meter.event_name not in self._meters:
            listed = self._client.billing.meters.list({"status": "active", "limit": 100})
            self._meters = {str(one.event_name): str(one.id) for one in listed.auto_paging_iter()}
        if meter.event_name not in self._meters:
            raise catalogue_missing(meter.event_name)
        return self._meters[meter.event_name]


def _line_item(item: str, price_id: str) -> dict[str, Any]:
    """Only what is paid whatever is used has a quantity."""
    return {"price": price_id} if item in set(BilledMeter) else {"price": price_id, "quantity": 1}


def _kept_item(item: Json) -> dict[str, Any]:
    quantity = item.get("quantity")
    return {"price": str(item["price"]), **({"quantity": quantity} if quantity else {})}


def _unless_missing(read: Callable[[], Any]) -> dict[str, Any] | None:
    """Return the object, or None when Stripe has none; no other refusal means that."""
    try:
        with translated():
            return _plain(read())
    except RefusedByStripe as error:
        if error.is_missing:
            return None
        raise


def _plain(found: Any) -> dict[str, Any]:  # noqa: ANN401 — the SDK's own objects
    return cast("dict[str, Any]", found.to_dict())
