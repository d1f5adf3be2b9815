"""The gateway to Stripe's subscriptions."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Protocol

from services.billing.catalog.gateway import PLAN, plan_and_item_of, price_ids
from services.billing.customers.domain.period import BillingPeriod
from services.billing.customers.domain.subscription import Subscription, SubscriptionState
from services.billing.customers.gateway import CustomerGateway, StripeCustomerGateway
from services.billing.stripe_api.gateway.client import translate_errors
from services.billing.stripe_api.gateway.objects import TENANT, Json, from_epoch, list_all, nested, to_dict
from services.billing.subscriptions.gateway.checkouts import CheckoutGateway, StripeCheckoutGateway, line_item
from shared.plans import Plan

_OWING = frozenset({SubscriptionState.PAST_DUE, SubscriptionState.UNPAID})
MAX_SUBSCRIPTIONS = 300
"""Maximum number of a customer's subscriptions that are read, newest first."""


class SubscriptionGateway(CustomerGateway, CheckoutGateway, Protocol):
    """Customers, their checkouts and their subscriptions at Stripe."""

    def subscriptions_of(self, customer_id: str) -> Sequence[Subscription]:
        """Return all current and ended subscriptions of the customer to our plans."""
        ...

    def change_plan(self, subscription: Subscription, plan: Plan) -> None:
        """Change the plan at once, with proration.

        Raises:
            PaymentDeclined: the card was declined.
        """
        ...

    def change_plan_at_end(self, subscription: Subscription, plan: Plan) -> None:
        """Change the plan at the end of the period; `free` ends the subscription then."""
        ...

    def cancel_plan_change(self, subscription: Subscription) -> None:
        """Cancel a pending change of plan."""
        ...

    def end_subscription(self, subscription: Subscription) -> None:
        """End the subscription at once, with a final invoice for its usage."""
        ...

    def end_duplicate(self, subscription_id: str) -> int:
        """End a subscription at once and refund all its payments; return the cents refunded by this call.

        Its usage is not billed. Idempotent: an invoice is refunded once.
        """
        ...


class StripeSubscriptionGateway(StripeCustomerGateway, StripeCheckoutGateway):
    """See `SubscriptionGateway`."""

    def subscriptions_of(self, customer_id: str) -> list[Subscription]:
        """See `SubscriptionGateway.subscriptions_of`."""
        query = {"customer": customer_id, "status": "all", "limit": 100, "expand": ["data.schedule"]}
        with translate_errors():
            payloads = [
                to_dict(listed) for listed in islice(list_all(self._client.subscriptions, query), MAX_SUBSCRIPTIONS)
            ]
        return [
            listed
            for payload in payloads
            if (listed := _subscription_of(payload, past_due_since=self._past_due_since(payload)))
        ]

    def _past_due_since(self, payload: Json) -> datetime | None:
        """Return when the oldest open invoice of an owing subscription was first due, or None."""
        if payload["status"] not in _OWING:
            return None
        query = {"subscription": str(payload["id"]), "status": "open", "limit": 100}
        with translate_errors():
            return _oldest_due_date(to_dict(invoice) for invoice in list_all(self._client.invoices, query))

    def change_plan(self, subscription: Subscription, plan: Plan) -> None:
        """See `SubscriptionGateway.change_plan`."""
        self.cancel_plan_change(subscription)
        prices = price_ids(self._client, plan)
        with translate_errors():
            existing = self._items(subscription)
            changed = [
                {**({"id": existing[item]} if item in existing else {}), **line_item(item, price_id)}
                for item, price_id in prices.items()
            ]
            removed = [{"id": item_id, "deleted": True} for item, item_id in existing.items() if item not in prices]
            self._client.subscriptions.update(
                subscription.subscription_id, {"items": [*changed, *removed], "proration_behavior": "always_invoice"}
            )

    def change_plan_at_end(self, subscription: Subscription, plan: Plan) -> None:
        """See `SubscriptionGateway.change_plan_at_end`."""
        self.cancel_plan_change(subscription)
        if plan is Plan.FREE:
            with translate_errors():
                self._client.subscriptions.update(subscription.subscription_id, {"cancel_at_period_end": True})
            return
        later = price_ids(self._client, plan)
        with translate_errors():
            schedule = to_dict(
                self._client.subscription_schedules.create({"from_subscription": subscription.subscription_id})
            )
            first = schedule["phases"][0]
            self._client.subscription_schedules.update(
                str(schedule["id"]),
                {
                    "end_behavior": "release",
                    "phases": [
                        {
                            "items": [_unchanged_item(item) for item in first["items"]],
                            "start_date": first["start_date"],
                            "end_date": first["end_date"],
                        },
                        {
                            "items": [line_item(item, price_id) for item, price_id in later.items()],
                            "duration": {"interval": "month", "interval_count": 1},
                            "proration_behavior": "none",
                            "metadata": {PLAN: plan.value},
                        },
                    ],
                },
            )

    def cancel_plan_change(self, subscription: Subscription) -> None:
        """See `SubscriptionGateway.cancel_plan_change`."""
        if subscription.next_plan is None:
            return
        with translate_errors():
            current = to_dict(self._client.subscriptions.retrieve(subscription.subscription_id))
            if current.get("schedule"):
                self._client.subscription_schedules.release(str(current["schedule"]))
            if current.get("cancel_at_period_end"):
                self._client.subscriptions.update(subscription.subscription_id, {"cancel_at_period_end": False})
            elif current.get("cancel_at"):
                self._client.subscriptions.update(subscription.subscription_id, {"cancel_at": ""})

    def end_subscription(self, subscription: Subscription) -> None:
        """See `SubscriptionGateway.end_subscription`."""
        with translate_errors():
            self._client.subscriptions.cancel(subscription.subscription_id, {"invoice_now": True, "prorate": False})

    def end_duplicate(self, subscription_id: str) -> int:
        """See `SubscriptionGateway.end_duplicate`."""
        with translate_errors():
            payload = to_dict(self._client.subscriptions.retrieve(subscription_id))
            if not payload.get("ended_at"):
                self._client.subscriptions.cancel(subscription_id, {"invoice_now": False, "prorate": False})
            query = {"subscription": subscription_id, "limit": 100}
            return sum(self._void_or_refund(to_dict(invoice)) for invoice in list_all(self._client.invoices, query))

    def _void_or_refund(self, invoice: Json) -> int:
        """Void an unpaid invoice or refund a paid one; return the refunded cents."""
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

    def _items(self, subscription: Subscription) -> dict[str, str]:
        """Return the ids of a subscription's items by the item of our plan."""
        payload = to_dict(self._client.subscriptions.retrieve(subscription.subscription_id))
        ours = {str(item["id"]): plan_and_item_of(item["price"]) for item in payload["items"]["data"]}
        return {plan_and_item[1]: item_id for item_id, plan_and_item in ours.items() if plan_and_item}


def _unchanged_item(item: Json) -> dict[str, Any]:
    quantity = item.get("quantity")
    return {"price": str(item["price"]), **({"quantity": quantity} if quantity else {})}


def _subscription_of(payload: Json, *, past_due_since: datetime | None = None) -> Subscription | None:
    """Return a subscription, or None if it has no price of ours."""
    items: list[Json] = list(payload["items"]["data"])
    plan = next((ours[0] for item in items if (ours := plan_and_item_of(item["price"]))), None)
    if plan is None:
        return None
    start = min(int(item["current_period_start"]) for item in items)
    end = min(int(item["current_period_end"]) for item in items)
    return Subscription(
        subscription_id=str(payload["id"]),
        state=SubscriptionState(payload["status"]),
        plan=plan,
        started_at=from_epoch(payload["start_date"]),
        period=BillingPeriod(from_epoch(start), from_epoch(end)),
        next_plan=_next_plan(payload, plan),
        ended_at=from_epoch(payload["ended_at"]) if payload.get("ended_at") else None,
        past_due_since=past_due_since,
        tenant_id=nested(payload, "metadata").get(TENANT),
    )


def _next_plan(payload: Json, plan: Plan) -> Plan | None:
    if payload.get("ended_at"):
        return None
    if payload.get("cancel_at_period_end") or payload.get("cancel_at"):
        return Plan.FREE
    phases: list[Json] = nested(payload, "schedule").get("phases") or []
    planned = nested(phases[-1], "metadata").get(PLAN) if phases else None
    return Plan(planned) if planned and planned != plan else None


def _oldest_due_date(open_invoices: Iterable[Json]) -> datetime | None:
    """Return when the oldest of these invoices was first due, which is when it became final."""
    finals = [
        int(invoice["status_transitions"]["finalized_at"] or invoice["created"])
        for invoice in open_invoices
        if invoice["attempted"]
    ]
    return from_epoch(min(finals)) if finals else None
