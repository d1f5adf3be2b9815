"""Usage: counted once, within bounds, and with delayed sums."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe

from tests.sandbox.stripe.receiver import receiving
from tests.sandbox.stripe.servers import Running
from tests.sandbox.stripe.shop import DAY_S, HOUR_S, PlanCatalog, shop


@pytest.fixture
def store(stripe_: Running) -> PlanCatalog:
    return shop(stripe_)


@pytest.fixture
def customer(store: PlanCatalog) -> str:
    return store.customer()


def summed(store: PlanCatalog, customer: str, *, start: int, end: int) -> float:
    """Return the usage according to Stripe."""
    v1 = store.client.v1
    found = v1.billing.meters.event_summaries.list(
        store.meter, {"customer": customer, "start_time": start, "end_time": end}
    )
    return sum(one.aggregated_value for one in found.data)


def now_of(store: PlanCatalog) -> int:
    now: int = store.local.control("health")["now"]
    return now


class TestEvents:
    def test_an_identifier_counts_once(self, store: PlanCatalog, customer: str) -> None:
        store.use(customer, 5, identifier="acme:tokens_in:14:0")
        with pytest.raises(stripe.InvalidRequestError) as refused:
            store.use(customer, 5, identifier="acme:tokens_in:14:0")
        assert refused.value.http_status == 400
        assert refused.value.user_message == "An event already exists with identifier acme:tokens_in:14:0."
        now = now_of(store) // 60 * 60
        assert summed(store, customer, start=now - 60, end=now + 120) == 5

    def test_a_concurrently_sent_identifier_counts_once(self, store: PlanCatalog, customer: str) -> None:
        def send(index: int) -> bool:
            try:
                store.use(customer, 1, identifier=f"{index % 5}")
            except stripe.InvalidRequestError:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(send, range(40))) == 5
        now = now_of(store) // 60 * 60
        assert summed(store, customer, start=now - 120, end=now + 120) == 5

    @pytest.mark.parametrize(
        ("away_s", "code"),
        [
            (-35 * DAY_S - 60, "timestamp_too_far_in_past"),
            (5 * 60 + 60, "timestamp_in_future"),
        ],
    )
    def test_refuses_a_time_out_of_bounds(self, store: PlanCatalog, customer: str, away_s: int, code: str) -> None:
        with pytest.raises(stripe.InvalidRequestError) as refused:
            store.use(customer, 5, identifier="out", at=now_of(store) + away_s)
        assert refused.value.code == code

    @pytest.mark.parametrize("away_s", [-35 * DAY_S + 60, 4 * 60])
    def test_accepts_a_time_within_the_bounds(self, store: PlanCatalog, customer: str, away_s: int) -> None:
        store.use(customer, 5, identifier="within", at=now_of(store) + away_s)

    @pytest.mark.parametrize("value", ["1.5", "many", ""])
    def test_a_value_must_be_a_whole_number(self, store: PlanCatalog, customer: str, value: str) -> None:
        payload = {"stripe_customer_id": customer, "value": value}
        with pytest.raises(stripe.InvalidRequestError):
            store.client.v1.billing.meter_events.create({"event_name": "ainexus_tokens_in", "payload": payload})

    def test_a_correction_may_be_negative(self, store: PlanCatalog, customer: str) -> None:
        at = now_of(store) // HOUR_S * HOUR_S
        store.use(customer, 10, identifier="hour:0", at=at)
        store.use(customer, -3, identifier="hour:1", at=at)
        assert summed(store, customer, start=at, end=at + HOUR_S) == 7


class TestErrorReport:
    def test_reports_usage_without_a_customer(self, store: PlanCatalog) -> None:
        with receiving() as receiver:
            store.local.control("webhook", {"url": receiver.url})
            store.use("cus_none", 5, identifier="acme:tokens_in:14:0")
            [(body, _)] = receiver.wait_for(1)
        thin = json.loads(body)
        assert thin["type"] == "v1.billing.meter.error_report_triggered"
        assert thin["related_object"]["id"] == store.meter
        assert "data" not in thin
        event = store.client.v2.core.events.retrieve(thin["id"]).to_dict()
        [kind] = event["data"]["reason"]["error_types"]
        assert kind["code"] == "meter_event_customer_not_found"
        assert kind["sample_errors"][0]["request"]["identifier"] == "acme:tokens_in:14:0"


class TestSums:
    def test_lag_by_the_configured_time(self, store: PlanCatalog, customer: str) -> None:
        at = now_of(store) // HOUR_S * HOUR_S
        store.local.control("settings", {"meter_lag_s": 60})
        store.use(customer, 10, identifier="lags", at=at)
        assert summed(store, customer, start=at, end=at + HOUR_S) == 0
        store.local.control("settings", {"meter_lag_s": 0})
        assert summed(store, customer, start=at, end=at + HOUR_S) == 10

    def test_have_hourly_values(self, store: PlanCatalog, customer: str) -> None:
        at = now_of(store) // HOUR_S * HOUR_S - DAY_S
        for index in range(3):
            store.use(customer, index + 1, identifier=f"hour {index}", at=at + index * HOUR_S)
        found = store.client.v1.billing.meters.event_summaries.list(
            store.meter,
            {
                "customer": customer,
                "start_time": at,
                "end_time": at + 3 * HOUR_S,
                "value_grouping_window": "hour",
            },
        )
        assert [(one.start_time, one.aggregated_value) for one in found.data] == [
            (at + 2 * HOUR_S, 3),
            (at + HOUR_S, 2),
            (at, 1),
        ]
