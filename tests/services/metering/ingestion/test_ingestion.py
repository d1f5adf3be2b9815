"""Tests of usage that tenants report."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.metering import wiring
from services.metering.errors import ReportingRateExceeded
from services.metering.functions.api import handler as app
from services.metering.ingestion.domain import MAX_REQUESTS_PER_WINDOW, WINDOW_S
from services.metering.ingestion.operations import ThrottledTenants, ingest
from services.metering.ingestion.table import RateTable
from services.metering.partitions import SLICE
from shared.meters import Meter
from shared.storage.store import Store
from shared.storage.transaction import Expression
from shared.tenancy.permissions import Role
from shared.times import to_text
from tests.dynamodb.memory import MemoryDynamoDB
from tests.gateway import claims, request
from tests.services.metering.fixtures import counted
from tests.tenants import tenant_created

EVENTS = "/v1/tenants/{tenant_id}/usage/events"
NOW = datetime.now(UTC)


def report(name: str = "evt-1", **changes: Any) -> dict[str, Any]:  # noqa: ANN401 — any field of an event
    """Return a reported event."""
    data = {"meters": {"images_generated": 3}, "provider": "openai", "model": "gpt-image-1"}
    payload: dict[str, Any] = {"id": name, "source": "/batch", "type": "image.made", "time": to_text(NOW), "data": data}
    return {name: value for name, value in {**payload, **changes}.items() if value is not ...}


def post(*events: Any, role: Role = Role.DEVELOPER, headers: dict[str, str] | None = None) -> tuple[int, Any]:  # noqa: ANN401 — any JSON
    """Send a request and return the status and the body."""
    requested = request(
        "POST",
        EVENTS,
        path_parameters={"tenant_id": "demo-org"},
        claims=claims(role=role),
        body={"events": list(events)},
        headers=headers,
    )
    answer = app(requested)
    return answer["statusCode"], json.loads(answer["body"])


def statuses(*events: dict[str, Any]) -> list[str]:
    """Report these events and return the status of each."""
    status, body = post(*events)
    assert status == 200, body
    assert [result["id"] for result in body["results"]] == [event["id"] for event in events]
    return [result["status"] for result in body["results"]]


@pytest.fixture
def store(slice_store: Store) -> Store:
    """Return a slice with the copy of the tenant."""
    wiring.copies().keep(tenant_created("demo-org"))
    return slice_store


class TestIngest:
    def test_counts_each_event_once(self, store: Store) -> None:
        assert statuses(report("a"), report("b"), report("a")) == ["accepted", "accepted", "duplicate"]
        assert statuses(report("b"), report("c")) == ["duplicate", "accepted"]
        assert counted_now(store) == {Meter.IMAGES_GENERATED: 9}

    def test_accepts_the_first_content_of_an_id_and_no_other(self, store: Store) -> None:
        other = report("a", data={"meters": {"images_generated": 4}})
        assert statuses(report("a"), other, report("a")) == ["accepted", "conflict", "duplicate"]
        assert counted_now(store) == {Meter.IMAGES_GENERATED: 3}

    def test_ids_are_scoped_to_their_source(self, store: Store) -> None:
        assert statuses(report("a"), report("a", source="/other")) == ["accepted", "accepted"]
        assert counted_now(store) == {Meter.IMAGES_GENERATED: 6}

    def test_accepts_100_events(self, store: Store) -> None:
        assert statuses(*(report(f"evt-{number}") for number in range(100))) == ["accepted"] * 100
        assert counted_now(store) == {Meter.IMAGES_GENERATED: 300}

    @pytest.mark.usefixtures("store")
    def test_refuses_101_events_and_none(self) -> None:
        assert post(*(report(f"evt-{number}") for number in range(101)))[0] == 422
        assert post()[0] == 422

    def test_publishes_the_ingested_usage(self, store: Store) -> None:
        statuses(report("a"), report("a"))
        outbox = store.query_all(Expression("#PK = :pk", {"pk": "TENANT#demo-org#USAGE#OUTBOX"}))
        [event] = [json.loads(str(item["event"])) for item in outbox if item["type"] == "usage.ingested.v2"]
        assert event["data"]["events"] == 1
        assert event["data"]["meters"] == {"images_generated": 3}
        assert event["data"]["period"] == f"{NOW:%Y-%m}"

    def test_publishes_few_messages_that_contain_each_event_once(self, store: Store) -> None:
        times = [to_text(NOW - timedelta(days=34)), to_text(NOW)]
        many = [report(f"evt-{number}", time=times[number % 2]) for number in range(100)]
        statuses(*many[:60])
        statuses(*many)
        outbox = store.query_all(Expression("#PK = :pk", {"pk": "TENANT#demo-org#USAGE#OUTBOX"}))
        found = [json.loads(str(item["event"])) for item in outbox if item["type"] == "usage.ingested.v2"]
        assert len(found) <= 6
        assert sum(event["data"]["events"] for event in found) == 100
        assert sum(event["data"]["meters"]["images_generated"] for event in found) == 300
        assert {event["data"]["period"] for event in found} == {time[:7] for time in times}

    def test_publishes_few_messages_for_100_models(self, store: Store) -> None:
        data = {"meters": {"images_generated": 3}}
        statuses(*(report(f"evt-{number}", data={**data, "model": f"model-{number}"}) for number in range(100)))
        outbox = store.query_all(Expression("#PK = :pk", {"pk": "TENANT#demo-org#USAGE#OUTBOX"}))
        assert len([item for item in outbox if item["type"] == "usage.ingested.v2"]) <= 3

    def test_reports_events_that_are_grouped_as_other(self, store: Store) -> None:
        data = {"meters": {"images_generated": 3}}
        answers: list[dict[str, Any]] = []
        for part in range(12):
            events = [report(f"{part}-{n}", data={**data, "model": f"model-{part}-{n}"}) for n in range(100)]
            answers += post(*events)[1]["results"]
        in_other = [answer for answer in answers if answer.get("grouped_as") == "other"]
        assert {answer["status"] for answer in answers} == {"accepted"}
        assert 200 <= len(in_other) < 1_200
        assert all("grouped_as" not in answer for answer in answers if answer not in in_other)
        assert counted_now(store) == {Meter.IMAGES_GENERATED: 3_600}

    @pytest.mark.usefixtures("store")
    def test_lists_it_among_the_events(self) -> None:
        statuses(report("a"))
        requested = request("GET", EVENTS, path_parameters={"tenant_id": "demo-org"}, claims=claims(role=Role.ANALYST))
        [event] = json.loads(app(requested)["body"])["events"]
        assert (event["kind"], event["id"], event["source"], event["run_id"]) == ("reported", "a", "/batch", None)

    @pytest.mark.usefixtures("store")
    @pytest.mark.report(26)
    @pytest.mark.parametrize(
        ("event", "reason"),
        [
            ("text", "must be an object"),
            (report(id=...), "id"),
            (report(id=""), "id"),
            (report(time="yesterday"), "time"),
            (report(time="2026-11-22T10:00:00"), "time"),
            (report(time=to_text(NOW - timedelta(days=36))), "35 days"),
            (report(time=to_text(NOW + timedelta(hours=1))), "future"),
            (report(data={"meters": {}}), "data.meters"),
            (report(data={"meters": {"tokens_in": -1}}), "data.meters.tokens_in"),
            (report(data={"meters": {"tokens_in": 1.5}}), "data.meters.tokens_in"),
            (report(data={"meters": {"tokens_in": True}}), "data.meters.tokens_in"),
            (report(data={"meters": {"tokens_in": 10**16}}), "data.meters.tokens_in"),
            (report(data={"meters": {"miles": 1}}), "data.meters.miles"),
            (report(color="red"), "color"),
            (report("a\u202eb"), "id: must not contain control characters"),
            (report(time=1764460800), "time: must be a time with its time zone"),
            (report("a\0b"), "id: must not contain control characters"),
            (report(source="/batch\0"), "source: must not contain control characters"),
            (report(type="image\n"), "type: must not contain control characters"),
            (report(subject="\x85"), "subject: must not contain control characters"),
            (report(data={"meters": {"tokens_in": 1}, "model": "\x1b[2J"}), "data.model: must not contain control"),
        ],
    )
    def test_rejects_invalid_events_and_counts_the_others(self, event: Any, reason: str) -> None:  # noqa: ANN401 — any JSON
        status, body = post(event, report("good"))
        assert status == 200
        assert [result["status"] for result in body["results"]] == ["rejected", "accepted"]
        assert reason in body["results"][0]["reason"]
        assert "reason" not in body["results"][1]

    @pytest.mark.usefixtures("store")
    def test_explains_the_first_faults_only(self) -> None:
        wrong = report(data={"meters": {f"{number:0200}": -1 for number in range(3_000)}})
        [result] = post(wrong)[1]["results"]
        assert result["reason"].endswith("; and 5,997 more")
        assert len(result["reason"]) < 1_300

    @pytest.mark.usefixtures("store")
    def test_ignores_an_idempotency_key(self) -> None:
        key = {"idempotency-key": "one"}
        assert post(report("a"), headers=key)[1]["results"][0]["status"] == "accepted"
        assert post(report("b"), headers=key)[1]["results"][0]["status"] == "accepted"

    @pytest.mark.usefixtures("store")
    def test_refuses_an_analyst(self) -> None:
        assert post(report(), role=Role.ANALYST)[0] == 403


class TestRate:
    """The limit of requests of each tenant."""

    def take(self, store: Store, number: int, *, tenant_id: str = "demo-org", now: datetime = NOW) -> list[bool]:
        return [RateTable(store, tenant_id).admit_request(now=now) for _ in range(number)]

    def test_refuses_requests_over_the_limit_until_the_next_window(self, store: Store) -> None:
        assert self.take(store, MAX_REQUESTS_PER_WINDOW + 1) == [True] * MAX_REQUESTS_PER_WINDOW + [False]
        assert self.take(store, 1, now=NOW + timedelta(seconds=WINDOW_S)) == [True]

    def test_applies_to_each_tenant_separately(self, store: Store) -> None:
        self.take(store, MAX_REQUESTS_PER_WINDOW + 1)
        assert self.take(store, 1, tenant_id="demo-org2") == [True]

    def test_holds_for_concurrent_requests(self) -> None:
        store = Store(MemoryDynamoDB(), table="usage", owned=SLICE)
        with ThreadPoolExecutor(8) as pool:
            taken = [pool.submit(self.take, store, 50) for _ in range(8)]
            assert sum(sum(one.result()) for one in taken) == MAX_REQUESTS_PER_WINDOW

    def test_accepts_the_window_of_a_clock_that_is_ahead(self, store: Store) -> None:
        self.take(store, MAX_REQUESTS_PER_WINDOW, now=NOW + timedelta(seconds=WINDOW_S))
        assert self.take(store, 1) == [False]

    def test_a_request_over_the_limit_is_429_and_counts_nothing(self, store: Store) -> None:
        while RateTable(store, "demo-org").admit_request(now=(now := datetime.now(UTC))):
            continue
        wiring.throttled_tenants().add("demo-org", now=now + timedelta(seconds=WINDOW_S))  # also on a slow machine
        answer = app(
            request(
                "POST", EVENTS, path_parameters={"tenant_id": "demo-org"}, claims=claims(), body={"events": [report()]}
            )
        )
        body = json.loads(answer["body"])
        assert (answer["statusCode"], body["error"]) == (429, "TooManyRequests")
        assert "100 events" in body["message"]
        assert 1 <= int(answer["multiValueHeaders"]["Retry-After"][0]) <= WINDOW_S
        assert counted_now(store) == {}

    def test_a_container_caches_its_refusals(self) -> None:
        table, refused = MemoryDynamoDB(), ThrottledTenants()
        store = Store(table, table="usage", owned=SLICE)
        self.take(store, MAX_REQUESTS_PER_WINDOW)
        calls: list[int] = []
        for _ in range(3):
            before = table.calls
            with pytest.raises(ReportingRateExceeded):
                ingest(store, "demo-org", [report()], now=NOW, throttled=refused)
            calls.append(table.calls - before)
        assert calls == [1, 0, 0]
        assert not refused.has("demo-org2", now=NOW)
        assert not refused.has("demo-org", now=NOW + timedelta(seconds=WINDOW_S))


def counted_now(store: Store) -> dict[Meter, int]:
    """Return the counted meters."""
    return dict(counted(store).meters)
