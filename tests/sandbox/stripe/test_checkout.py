"""Checkout through the form of its page."""

import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest

from tests.sandbox.stripe.servers import Running
from tests.sandbox.stripe.shop import DAY_S, HOUR_S, PlanCatalog, shop


@pytest.fixture
def store(stripe_: Running) -> PlanCatalog:
    return shop(stripe_)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 — urllib's own signature
        """Follow no redirect: the tests check the address."""


_BROWSER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def post(url: str | None, **fields: str) -> tuple[int, str]:
    """Send a form and return the status, and the redirect's address or the page."""
    assert url
    try:
        with _BROWSER.open(url, data=urllib.parse.urlencode(fields).encode(), timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Location"]


def session_of(store: PlanCatalog, customer: str) -> Any:  # noqa: ANN401 — the SDK's session
    items: Any = [{"price": store.pro.base, "quantity": 1}, {"price": store.pro.tokens}]
    return store.client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": customer,
            "line_items": items,
            "success_url": "http://localhost:3000/done?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://localhost:3000/plans",
            "client_reference_id": "acme",
            "subscription_data": {"metadata": {"tenant_id": "acme"}},
        }
    )


class TestCheckout:
    def test_payment_creates_the_subscription(self, store: PlanCatalog) -> None:
        customer = store.customer(card=None)
        session = session_of(store, customer)
        assert post(session.url, action="pay", number="4242424242424242") == (
            303,
            f"http://localhost:3000/done?session={session.id}",
        )
        done = store.client.v1.checkout.sessions.retrieve(session.id)
        assert (done.status, done.payment_status) == ("complete", "paid")
        assert isinstance(done.subscription, str)
        subscription = store.reload(done.subscription)
        assert (subscription.status, subscription.metadata.to_dict()) == ("active", {"tenant_id": "acme"})
        assert store.local.types()[-1] == "checkout.session.completed"

    def test_a_declined_card_changes_nothing(self, store: PlanCatalog) -> None:
        customer = store.customer(card=None)
        session = session_of(store, customer)
        status, page = post(session.url, action="pay", number="4000000000000002")
        assert status == 200
        assert "Your card was declined." in page
        assert store.client.v1.checkout.sessions.retrieve(session.id).status == "open"
        assert not store.client.v1.subscriptions.list({"customer": customer, "status": "all"}).data

    def test_a_configured_decline_applies_once(self, store: PlanCatalog) -> None:
        session = session_of(store, store.customer(card=None))
        store.local.control("settings", {"decline_payments": 1})
        assert "declined" in post(session.url, action="pay", number="4242424242424242")[1]
        assert post(session.url, action="pay", number="4242424242424242")[0] == 303

    def test_a_missing_session_has_no_page(self, store: PlanCatalog) -> None:
        assert post(f"{store.local.url}/_pages/checkout/cs_none")[0] == 404

    def test_begins_at_the_clocks_time(self, store: PlanCatalog) -> None:
        now = store.local.control("health")["now"]
        store.local.control("clock", {"advance_s": -2 * HOUR_S})
        session = session_of(store, store.customer(card=None))
        post(session.url, action="pay", number="4242424242424242")
        store.local.control("clock", {"advance_s": 2 * HOUR_S})
        [subscription] = store.client.v1.subscriptions.list().data
        assert now - 2 * HOUR_S <= subscription.start_date < now - HOUR_S

    def test_canceling_returns_to_the_application(self, store: PlanCatalog) -> None:
        session = session_of(store, store.customer(card=None))
        assert post(session.url, action="cancel") == (303, "http://localhost:3000/plans")

    def test_expires_after_a_day(self, store: PlanCatalog) -> None:
        session = session_of(store, store.customer(card=None))
        store.local.control("clock", {"advance_s": DAY_S + 1})
        assert store.client.v1.checkout.sessions.retrieve(session.id).status == "expired"
        assert store.local.types()[-1] == "checkout.session.expired"
