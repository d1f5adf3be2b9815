"""Deliveries: signed, repeated until they are accepted, and out of order on request."""

import json
from collections.abc import Iterator

import pytest
import stripe

from tests.sandbox.stripe.receiver import Receiver, receiving
from tests.sandbox.stripe.servers import KEYS, Running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as created:
        yield created


@pytest.fixture
def wired(stripe_: Running, receiver: Receiver) -> Running:
    """Connect a Stripe's events to the receiver."""
    stripe_.control("webhook", {"url": receiver.url})
    return stripe_


def make_customers(wired: Running, count: int) -> list[str]:
    return [wired.client.v1.customers.create({"name": f"{index}"}).id for index in range(count)]


def customers_in(deliveries: list[tuple[bytes, str]]) -> list[str]:
    return [json.loads(body)["data"]["object"]["id"] for body, _ in deliveries]


class TestDelivery:
    def test_is_signed_so_that_the_sdk_accepts_it(self, wired: Running, receiver: Receiver) -> None:
        [customer] = make_customers(wired, 1)
        [(body, signature)] = receiver.wait_for(1)
        event = stripe.Webhook.construct_event(body, signature, KEYS.webhook_secret)  # pyright: ignore[reportUnknownMemberType] — the SDK leaves it open
        assert (event.type, event.data.object["id"]) == ("customer.created", customer)

    def test_is_refused_by_the_sdk_with_another_secret(self, wired: Running, receiver: Receiver) -> None:
        make_customers(wired, 1)
        [(body, signature)] = receiver.wait_for(1)
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(body, signature, "whsec_another")  # pyright: ignore[reportUnknownMemberType] — the SDK leaves it open

    def test_is_retried_after_a_failure(self, wired: Running, receiver: Receiver) -> None:
        receiver.refuse = 1
        make_customers(wired, 1)
        assert len(receiver.wait_for(1)) == 1
        assert receiver.refuse == 0

    def test_keeps_the_order_by_default(self, wired: Running, receiver: Receiver) -> None:
        created = make_customers(wired, 10)
        assert customers_in(receiver.wait_for(10)) == created

    def test_is_signed_with_the_secret_of_its_endpoint(self, stripe_: Running, receiver: Receiver) -> None:
        endpoint = stripe_.client.v1.webhook_endpoints.create(
            {"url": receiver.url, "enabled_events": ["product.created"]}
        )
        stripe_.client.v1.customers.create({"name": "unheard"})
        stripe_.client.v1.products.create({"name": "heard"})
        [(body, signature)] = receiver.wait_for(1)
        assert endpoint.secret
        event = stripe.Webhook.construct_event(body, signature, endpoint.secret)  # pyright: ignore[reportUnknownMemberType] — the SDK leaves it open
        assert event.type == "product.created"
        assert "secret" not in stripe_.client.v1.webhook_endpoints.retrieve(endpoint.id).to_dict()


class TestEmittedEvent:
    def test_is_delivered(self, wired: Running, receiver: Receiver) -> None:
        [customer] = make_customers(wired, 1)
        announced = wired.control("events", {"type": "customer.unheard_of", "object": customer})
        [_, (body, _)] = receiver.wait_for(2)
        assert json.loads(body)["type"] == "customer.unheard_of"
        assert wired.client.v1.events.retrieve(announced["id"]).type == "customer.unheard_of"


class TestChaos:
    def test_duplicates(self, wired: Running, receiver: Receiver) -> None:
        wired.control("chaos", {"duplicate": 100})
        [customer] = make_customers(wired, 1)
        assert customers_in(receiver.wait_for(2)) == [customer, customer]

    def test_drops(self, wired: Running, receiver: Receiver) -> None:
        wired.control("chaos", {"drop": 100})
        make_customers(wired, 3)
        wired.control("chaos", {})
        [received] = make_customers(wired, 1)
        assert customers_in(receiver.wait_for(1)) == [received]

    def test_reorders(self, wired: Running, receiver: Receiver) -> None:
        wired.control("chaos", {"reorder": 1})
        created = make_customers(wired, 12)
        received = customers_in(receiver.wait_for(12))
        assert sorted(received) == sorted(created)
        assert received != created

    def test_delays(self, wired: Running, receiver: Receiver) -> None:
        wired.control("chaos", {"delay_ms": 3_600_000})
        [late] = make_customers(wired, 1)
        wired.control("chaos", {})
        make_customers(wired, 1)
        receiver.wait_for(1)
        # The one that was taken may still wait for its answer to be noted.
        waiting = {delivery["event"] for delivery in wired.control("deliveries")["waiting"]}
        assert late not in customers_in(receiver.received)
        [of_late] = [event["id"] for event in wired.events() if event["data"]["object"]["id"] == late]
        assert of_late in waiting

    def test_holds_events_and_sends_them_in_a_given_order(self, wired: Running, receiver: Receiver) -> None:
        wired.control("chaos", {"hold": 1})
        created = make_customers(wired, 3)
        events = {event["data"]["object"]["id"]: event["id"] for event in wired.events()}
        for customer in (created[2], created[0], created[1], created[0]):
            assert wired.control(f"events/{events[customer]}/resend", {})["statuses"] == {"we_local": 200}
        assert customers_in(receiver.received) == [created[2], created[0], created[1], created[0]]
