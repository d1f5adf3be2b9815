"""The gateway to Stripe's checkout pages and customer portal."""

from typing import Any, Protocol

from services.billing.catalog.domain import BilledMeter
from services.billing.catalog.gateway import price_ids
from services.billing.errors import CheckoutClosed, RejectedByStripe
from services.billing.stripe_api.gateway.client import translate_errors
from services.billing.stripe_api.gateway.objects import TENANT, StripeGateway, from_epoch, list_all, nested, to_dict
from services.billing.subscriptions.domain import Checkout, CheckoutOrder

_OPEN = "open"
_CHECKOUT_KEY = "checkout_key"
"""The metadata key of a checkout's Idempotency-Key."""


class CheckoutGateway(Protocol):
    """Checkout pages and portals at Stripe. For the errors of all methods see `CustomerGateway`.

    A `key` makes a request idempotent.
    """

    def start_checkout(self, customer_id: str, order: CheckoutOrder, *, key: str | None) -> Checkout:
        """Open a checkout page for the plan.

        Raises:
            KeyReused: the key belongs to another order.
            CheckoutClosed: the key belongs to a page that is no longer open.
            CatalogMissing: the plan's prices do not exist at Stripe.
        """
        ...

    def close_checkouts(self, customer_id: str, *, keep: str | None = None) -> None:
        """Expire the customer's open checkout pages, except the one that was opened with the key `keep`.

        A page that is paid at the same moment stays paid, so read the subscriptions afterwards.
        """
        ...

    def open_portal(self, customer_id: str, *, return_url: str) -> str:
        """Return the URL of a customer portal with payment methods, invoices and the subscription."""
        ...


class StripeCheckoutGateway(StripeGateway):
    """See `CheckoutGateway`."""

    def start_checkout(self, customer_id: str, order: CheckoutOrder, *, key: str | None) -> Checkout:
        """See `CheckoutGateway.start_checkout`."""
        metadata = {TENANT: order.tenant_id}
        parameters = {
            "mode": "subscription",
            "customer": customer_id,
            "client_reference_id": order.tenant_id,
            "line_items": [line_item(item, price_id) for item, price_id in price_ids(self._client, order.plan).items()],
            "success_url": order.success_url,
            "cancel_url": order.cancel_url,
            "metadata": {**metadata, **({_CHECKOUT_KEY: key} if key else {})},
            "subscription_data": {"metadata": metadata},
        }
        with translate_errors():
            session = self._client.checkout.sessions.create(parameters, {"idempotency_key": key} if key else {})
            # Stripe repeats its first response for a known key, even if the page was closed in the meantime.
            if key and self._client.checkout.sessions.retrieve(str(session.id)).status != _OPEN:
                raise CheckoutClosed
        return Checkout(str(session.id), str(session.url), from_epoch(session.expires_at))

    def close_checkouts(self, customer_id: str, *, keep: str | None = None) -> None:
        """See `CheckoutGateway.close_checkouts`."""
        query = {"customer": customer_id, "status": _OPEN, "limit": 100}
        with translate_errors():
            open_sessions = [to_dict(listed) for listed in list_all(self._client.checkout.sessions, query)]
        for session in open_sessions:
            if keep is None or nested(session, "metadata").get(_CHECKOUT_KEY) != keep:
                self._expire(str(session["id"]))

    def _expire(self, session_id: str) -> None:
        try:
            with translate_errors():
                self._client.checkout.sessions.expire(session_id)
        except RejectedByStripe:
            with translate_errors():
                is_open = self._client.checkout.sessions.retrieve(session_id).status == _OPEN
            if is_open:
                raise

    def open_portal(self, customer_id: str, *, return_url: str) -> str:
        """See `CheckoutGateway.open_portal`."""
        with translate_errors():
            session = self._client.billing_portal.sessions.create({"customer": customer_id, "return_url": return_url})
        return str(session.url)


def line_item(item: str, price_id: str) -> dict[str, Any]:
    """Return a line item. Only the base price has a quantity, because Stripe counts that of a metered price."""
    return {"price": price_id} if item in set(BilledMeter) else {"price": price_id, "quantity": 1}
