"""Checkout, as a form that a POST completes."""

import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest

from tests.infra_local.stripe.servers import Running
from tests.infra_local.stripe.shop import DAY_S, HOUR_S, Shop, shop


@pytest.fixture
def store(stripe_: Running) -> Shop:
    return shop(stripe_)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 — urllib's own signature
        """Go nowhere: the address is what matters."""


_BROWSER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay)


def post(url: str | None, **fields: str) -> tuple[int, str]:
    """Send a form; gives back the status, and where to go or what is shown."""
    assert url
    try:
        with _BROWSER.open(url, data=urllib.parse.urlencode(fields).encode(), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Location"]


def session_of(store: Shop, customer: str) -> Any:  # noqa: ANN401 — the SDK's session
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
    def test_paying_subscribes(self, store: Shop) -> None:
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

    def test_a_declined_card_changes_nothing(self, store: Shop) -> None:
        customer = store.customer(card=None)
        session = session_of(store, customer)
        status, shown = post(session.url, action="pay", number="4000000000000002")
        assert status == 200
        assert "Your card was declined." in shown
        assert store.client.v1.checkout.sessions.retrieve(session.id).status == "open"
        assert not store.client.v1.subscriptions.list({"customer": customer, "status": "all"}).data

    def test_a_payment_that_is_told_to_fail_is_declined_once(self, store: Shop) -> None:
        session = session_of(store, store.customer(card=None))
        store.local.control("settings", {"decline_payments": 1})
        assert "declined" in post(session.url, action="pay", number="4242424242424242")[1]
        assert post(session.url, action="pay", number="4242424242424242")[0] == 303

    def test_a_session_that_does_not_exist_has_no_page(self, store: Shop) -> None:
        assert post(f"{store.local.url}/_pages/checkout/cs_none")[0] == 404

    def test_begins_when_the_clock_says(self, store: Shop) -> None:
        now = store.local.control("health")["now"]
        store.local.control("clock", {"advance_s": -2 * HOUR_S})
        session = session_of(store, store.customer(card=None))
        post(session.url, action="pay", number="4242424242424242")
        store.local.control("clock", {"advance_s": 2 * HOUR_S})
        [subscription] = store.client.v1.subscriptions.list().data
        assert now - 2 * HOUR_S <= subscription.start_date < now - HOUR_S

    def test_cancelling_leads_back(self, store: Shop) -> None:
        session = session_of(store, store.customer(card=None))
        assert post(session.url, action="cancel") == (303, "http://localhost:3000/plans")

    def test_expires_after_a_day(self, store: Shop) -> None:
        session = session_of(store, store.customer(card=None))
        store.local.control("clock", {"advance_s": DAY_S + 1})
        assert store.client.v1.checkout.sessions.retrieve(session.id).status == "expired"
        assert store.local.types()[-1] == "checkout.session.expired"
