"""The wire format: idempotency, pages, expansion, refusals and configured faults."""

from decimal import Decimal
from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.servers import Running, refuse_without_description, running
from tests.sandbox.stripe.shop import shop


def names(found: list[stripe.Customer]) -> list[str | None]:
    return [customer.name for customer in found]


class TestIdempotencyKey:
    def test_repeats_the_response_without_any_effect(self, stripe_: Running) -> None:
        customers = stripe_.client.v1.customers
        first = customers.create({"name": "once"}, {"idempotency_key": "key"})
        repeated = customers.create({"name": "once"}, {"idempotency_key": "key"})
        assert repeated.id == first.id
        assert repeated.last_response
        assert repeated.last_response.headers["idempotent-replayed"] == "true"
        assert len(customers.list().data) == 1

    def test_is_refused_with_other_parameters(self, stripe_: Running) -> None:
        customers = stripe_.client.v1.customers
        customers.create({"name": "once"}, {"idempotency_key": "key"})
        with pytest.raises(stripe.IdempotencyError) as refused:
            customers.create({"name": "other"}, {"idempotency_key": "key"})
        assert refused.value.http_status == 400

    def test_repeats_a_decline_but_not_an_invalid_request(self, stripe_: Running) -> None:
        prices: Any = stripe_.client.v1.prices
        with pytest.raises(stripe.InvalidRequestError):
            prices.create({"currency": "usd"}, {"idempotency_key": "key"})
        product = stripe_.client.v1.products.create({"name": "p"})
        prices.create({"currency": "usd", "unit_amount": 1, "product": product.id}, {"idempotency_key": "key"})


class TestLists:
    def test_are_newest_first_and_page_on(self, stripe_: Running) -> None:
        customers = stripe_.client.v1.customers
        for index in range(5):
            customers.create({"name": f"{index}"})
        first = customers.list({"limit": 2})
        second = customers.list({"limit": 2, "starting_after": first.data[-1].id})
        assert (names(first.data), first.has_more) == (["4", "3"], True)
        assert names(second.data) == ["2", "1"]
        assert names(customers.list({"limit": 2, "ending_before": second.data[0].id}).data) == ["4", "3"]
        assert names(list(customers.list({"limit": 2}).auto_paging_iter())) == ["4", "3", "2", "1", "0"]

    @pytest.mark.parametrize("limit", [0, 101])
    def test_refuse_a_limit_out_of_bounds(self, stripe_: Running, limit: int) -> None:
        with pytest.raises(stripe.InvalidRequestError):
            stripe_.client.v1.customers.list({"limit": limit})

    def test_find_prices_by_lookup_keys(self, stripe_: Running) -> None:
        catalog = shop(stripe_)
        found = stripe_.client.v1.prices.list({"lookup_keys": ["pro_base", "enterprise_base", "none"]})
        assert {price.id for price in found.data} == {catalog.pro.base, catalog.enterprise.base}


class TestPrices:
    def test_transfer_a_lookup_key_only_on_request(self, stripe_: Running) -> None:
        catalog = shop(stripe_)
        prices = stripe_.client.v1.prices
        product = prices.retrieve(catalog.pro.base).product
        arguments: Any = {"product": product, "currency": "usd", "unit_amount": 1, "lookup_key": "pro_base"}
        with pytest.raises(stripe.InvalidRequestError):
            prices.create(arguments)
        arguments["transfer_lookup_key"] = True
        moved = prices.create(arguments)
        assert prices.retrieve(catalog.pro.base).lookup_key is None
        assert moved.lookup_key == "pro_base"

    @pytest.mark.parametrize("decimal", ["0.000000000001", "10.500", "7"])
    def test_keep_twelve_decimals(self, stripe_: Running, decimal: str) -> None:
        product = stripe_.client.v1.products.create({"name": "p"})
        fields: Any = {"product": product.id, "currency": "usd", "unit_amount_decimal": decimal}
        price = stripe_.client.v1.prices.create(fields)
        assert stripe_.client.v1.prices.retrieve(price.id).unit_amount_decimal == Decimal(decimal)

    def test_refuse_thirteen(self, stripe_: Running) -> None:
        product = stripe_.client.v1.products.create({"name": "p"})
        fields: Any = {"product": product.id, "currency": "usd", "unit_amount_decimal": "0.0000000000001"}
        with pytest.raises(stripe.InvalidRequestError):
            stripe_.client.v1.prices.create(fields)


class TestExpansion:
    def test_replaces_ids_by_objects(self, stripe_: Running) -> None:
        catalog = shop(stripe_)
        subscription = catalog.subscribe(catalog.customer(), expand=["latest_invoice", "items.data.price.product"])
        assert isinstance(subscription.latest_invoice, stripe.Invoice)
        product = subscription["items"].data[0].price.product
        assert isinstance(product, stripe.Product)
        listed = stripe_.client.v1.subscriptions.list({"expand": ["data.customer"]})
        assert isinstance(listed.data[0].customer, stripe.Customer)


class TestErrors:
    def test_of_an_unknown_parameter(self, stripe_: Running) -> None:
        arguments: Any = {"name": "x", "nick_name": "y"}
        with pytest.raises(stripe.InvalidRequestError) as refused:
            stripe_.client.v1.customers.create(arguments)
        assert refused.value.code == "parameter_unknown"
        assert refused.value.user_message == "Received unknown parameter: nick_name"

    def test_of_another_version(self, stripe_: Running) -> None:
        with pytest.raises(stripe.InvalidRequestError, match="Invalid Stripe API version"):
            stripe_.client.v1.customers.list({}, {"stripe_version": "2020-08-27"})

    def test_of_a_missing_object(self, stripe_: Running) -> None:
        with pytest.raises(stripe.InvalidRequestError) as refused:
            stripe_.client.v1.subscriptions.retrieve("sub_none")
        assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")


class TestFaults:
    @pytest.mark.parametrize(
        ("kind", "error"),
        [
            ("429", stripe.RateLimitError),
            ("lock_timeout", stripe.RateLimitError),
            ("500", stripe.APIError),
            ("503", stripe.APIError),
            ("409", stripe.APIError),
            ("400", stripe.InvalidRequestError),
            ("401", stripe.AuthenticationError),
            ("403", stripe.PermissionError),
            ("404", stripe.InvalidRequestError),
            ("other_mode", stripe.InvalidRequestError),
            ("timeout", stripe.APIConnectionError),
            ("lost_answer", stripe.APIConnectionError),
        ],
    )
    def test_apply_to_the_next_request_only(self, stripe_: Running, kind: str, error: type[stripe.StripeError]) -> None:
        stripe_.control("faults", {"next": [{"kind": kind, "path": "/v1/customers"}]})
        stripe_.client.v1.products.list()
        with pytest.raises(error):
            stripe_.client.v1.customers.create({"name": "x"})
        done = names(stripe_.client.v1.customers.list().data)
        assert done == (["x"] if kind == "lost_answer" else [])

    def test_can_last_until_they_are_replaced(self, stripe_: Running) -> None:
        stripe_.control("faults", {"next": [{"kind": "401", "times": -1}]})
        for _ in range(3):
            with pytest.raises(stripe.AuthenticationError):
                stripe_.client.v1.customers.list()
        stripe_.control("faults", {"next": []})
        assert names(stripe_.client.v1.customers.list().data) == []

    def test_can_delay_the_response_of_a_completed_request(self, stripe_: Running) -> None:
        stripe_.control("faults", {"next": [{"kind": "slow", "delay_ms": 50, "path": "/v1/customers"}]})
        stripe_.client.v1.customers.create({"name": "x"})
        assert names(stripe_.client.v1.customers.list().data) == ["x"]

    def test_are_resolved_by_the_retries_of_the_sdk(self) -> None:
        refuse_without_description()
        with running(max_network_retries=2) as catalog:
            catalog.control("faults", {"next": [{"kind": "lost_answer"}, {"kind": "500"}]})
            catalog.client.v1.customers.create({"name": "once"})
            assert names(catalog.client.v1.customers.list().data) == ["once"]


class TestTestClock:
    def test_applies_only_to_its_customers(self, stripe_: Running) -> None:
        catalog = shop(stripe_)
        now = stripe_.control("health")["now"]
        clock = stripe_.client.v1.test_helpers.test_clocks.create({"frozen_time": now})
        timed, other = catalog.customer(test_clock=clock.id), catalog.customer()
        first, second = catalog.subscribe(timed), catalog.subscribe(other)
        advanced = stripe_.client.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": now + 40 * 86_400})
        assert advanced.status == "advancing"
        assert stripe_.client.v1.test_helpers.test_clocks.retrieve(clock.id).status == "ready"
        assert [len(catalog.invoices(customer)) for customer in (timed, other)] == [2, 1]
        assert [catalog.reload(one.id).status for one in (first, second)] == ["active", "active"]


class TestControls:
    @pytest.mark.parametrize(
        "status", ["past_due", "unpaid", "paused", "canceled", "incomplete", "incomplete_expired", "trialing"]
    )
    def test_bring_a_subscription_into_any_state(self, stripe_: Running, status: str) -> None:
        catalog = shop(stripe_)
        subscription = catalog.subscribe(catalog.customer())
        stripe_.control(f"subscriptions/{subscription.id}", {"status": status})
        assert catalog.reload(subscription.id).status == status

    def test_publish_a_failed_and_a_later_payment(self, stripe_: Running) -> None:
        catalog = shop(stripe_)
        subscription = catalog.subscribe(catalog.customer())
        stripe_.control(f"subscriptions/{subscription.id}", {"status": "past_due"})
        stripe_.control(f"subscriptions/{subscription.id}", {"status": "active"})
        event_types = [kind for kind in stripe_.types() if kind.startswith("invoice.p")]
        assert event_types[-3:] == ["invoice.payment_failed", "invoice.paid", "invoice.payment_succeeded"]

    @pytest.mark.parametrize(
        ("control", "body"),
        [
            ("subscriptions/sub_none", {"status": "active"}),
            ("chaos", {"duplicates": 1}),
            ("settings", {"offset_s": 1}),
            ("faults", {"next": [{"kind": "418"}]}),
            ("clock", {"advance_s": "1"}),
            ("unheard", {}),
        ],
    )
    def test_refuse_invalid_settings(self, stripe_: Running, control: str, body: dict[str, Any]) -> None:
        assert "error" in stripe_.control(control, body)
