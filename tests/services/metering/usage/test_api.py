"""What was used, over HTTP."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.metering.api import app
from shared.events.envelope import Event
from shared.events.runs import UsageRecorded
from shared.http.token import seal
from shared.meters import Meter
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.forged import forged_place
from tests.gateway import REQUEST_ID, claims, request
from tests.services.metering.usage import AT, used
from tests.services.metering.usage import count as count_usage

USAGE = "/v1/tenants/{tenant_id}/usage"
LAST_PAGE = {"nextToken": None, "hasMore": False}


def get(
    name: str, query: dict[str, str] | None = None, *, tenant_id: str = "demo-org", role: Role = Role.ANALYST
) -> tuple[int, dict[str, Any]]:
    """Status and body."""
    said = claims(role=role)
    answer = app(request("GET", f"{USAGE}/{name}", path_parameters={"tenant_id": tenant_id}, claims=said, query=query))
    return answer["statusCode"], json.loads(answer["body"])


def all_meters(**counted: int) -> dict[str, int]:
    """Every meter, those that are not named with 0."""
    return {meter.value: counted.get(meter.value, 0) for meter in Meter}


def count(store: Store, *events: Event[UsageRecorded]) -> None:
    """Let these be counted."""
    assert count_usage(store, *events) == {}


class TestDaily:
    def test_is_empty_without_usage(self, slice_store: Store) -> None:
        del slice_store
        assert get("daily") == (200, {"daily": [], "pagination": LAST_PAGE, "requestId": REQUEST_ID})

    def test_adds_up_the_hours_of_a_day_over_all_shards(self, slice_store: Store) -> None:
        count(slice_store, *(used(f"run_{number}", at=AT - timedelta(hours=number % 3)) for number in range(12)))
        count(slice_store, used("run_20", at=AT + timedelta(hours=1), cost_nano_usd=None))
        status, body = get("daily", {"from": "2026-11-22", "to": "2026-11-24"})
        assert status == 200
        assert body["daily"] == [
            {
                "date": "2026-11-23",
                "meters": all_meters(requests=1, tokens_in=12, tokens_out=30),
                "cost_nano_usd": None,
            },
            {
                "date": "2026-11-22",
                "meters": all_meters(requests=12, tokens_in=144, tokens_out=360),
                "cost_nano_usd": 8400,
            },
        ]
        assert body["pagination"] == LAST_PAGE

    def test_leaves_out_the_day_that_the_range_ends_with(self, slice_store: Store) -> None:
        count(slice_store, used("run_1", at=datetime(2026, 11, 22, 23, 59, 59, 999_000, UTC)))
        count(slice_store, used("run_2", at=datetime(2026, 11, 23, tzinfo=UTC)))
        assert [row["date"] for row in get("daily", {"from": "2026-11-22", "to": "2026-11-23"})[1]["daily"]] == [
            "2026-11-22"
        ]
        assert [row["date"] for row in get("daily", {"from": "2026-11-23", "to": "2026-11-24"})[1]["daily"]] == [
            "2026-11-23"
        ]

    def test_shows_the_last_30_days_by_default(self, slice_store: Store) -> None:
        now = datetime.now(UTC)
        for days in (0, 29, 30):
            count(slice_store, used(f"run_{days}", at=now - timedelta(days=days)))
        dates = [row["date"] for row in get("daily")[1]["daily"]]
        assert dates == [f"{now:%Y-%m-%d}", f"{now - timedelta(days=29):%Y-%m-%d}"]

    @pytest.mark.parametrize(
        ("group_by", "field", "groups"),
        [
            ("agent", "agent_id", {"agt_1": 2, "agt_2": 1}),
            ("model", "model", {"gpt-4": 2, "claude": 1}),
            ("provider", "provider", {"simulated": 3}),
            ("project", "project_id", {None: 2, "prj_1": 1}),
        ],
    )
    def test_groups_by_what_is_asked(
        self, slice_store: Store, group_by: str, field: str, groups: dict[str | None, int]
    ) -> None:
        count(slice_store, used("run_1"), used("run_2"))
        count(slice_store, used("run_3", agent_id="agt_2", model="claude", project_id="prj_1"))
        rows = get("daily", {"from": "2026-11-22", "to": "2026-11-23", "group_by": group_by})[1]["daily"]
        assert {row[field]: row["meters"]["requests"] for row in rows} == groups
        assert set(rows[0]) == {"date", "meters", "cost_nano_usd", field}

    def test_shows_nothing_of_a_tenant_whose_name_begins_alike(self, slice_store: Store) -> None:
        count(slice_store, used("run_1", tenant_id="demo-org2"))
        assert get("daily", {"from": "2026-11-22", "to": "2026-11-23"})[1]["daily"] == []

    @pytest.mark.parametrize(
        "query",
        [
            {"from": "2026-11-23", "to": "2026-11-23"},
            {"from": "2026-11-24", "to": "2026-11-23"},
            {"from": "2025-10-01", "to": "2026-11-23"},
            {"from": "yesterday"},
            {"from": "0001-01-01"},
            {"to": "9999-12-31"},
            {"group_by": "colour"},
            {"limit": "10"},
        ],
    )
    def test_refuses_a_bad_query(self, slice_store: Store, query: dict[str, str]) -> None:
        del slice_store
        status, body = get("daily", query)
        assert (status, body["error"]) == (422, "ValidationFailed")
        assert body["details"][0]["field"] in {"from", "to", "group_by", "limit"}


class TestMonthly:
    def test_adds_up_days(self, slice_store: Store) -> None:
        for number, day in enumerate(((2026, 10, 1), (2026, 10, 31), (2026, 11, 1))):
            count(slice_store, used(f"run_{number}", at=datetime(*day, 23, tzinfo=UTC)))
        rows = get("monthly", {"from": "2026-10", "to": "2026-12"})[1]["monthly"]
        assert [(row["month"], row["meters"]["requests"]) for row in rows] == [("2026-11", 1), ("2026-10", 2)]
        assert rows[0]["cost_nano_usd"] == 700

    def test_sums_only_the_days_that_are_asked_for(self, slice_store: Store) -> None:
        for day in (1, 15, 30):
            count(slice_store, used(f"run_{day}", at=datetime(2026, 11, day, tzinfo=UTC)))
        [row] = get("monthly", {"from": "2026-11-02", "to": "2026-11-30"})[1]["monthly"]
        assert row["meters"]["requests"] == 1

    def test_shows_the_last_12_months_by_default(self, slice_store: Store) -> None:
        now = datetime.now(UTC)
        count(slice_store, used("run_1", at=now))
        count(slice_store, used("run_2", at=now - timedelta(days=366)))
        assert [row["month"] for row in get("monthly")[1]["monthly"]] == [f"{now:%Y-%m}"]

    def test_groups(self, slice_store: Store) -> None:
        count(slice_store, used("run_1"), used("run_2", agent_id="agt_2"))
        rows = get("monthly", {"from": "2026-11", "to": "2026-12", "group_by": "agent"})[1]["monthly"]
        assert [(row["month"], row["agent_id"]) for row in rows] == [("2026-11", "agt_1"), ("2026-11", "agt_2")]


class TestEvents:
    def test_shows_an_event(self, slice_store: Store) -> None:
        count(slice_store, used(project_id="prj_1", cost_nano_usd=None))
        _, body = get("events", {"from": "2026-11-22", "to": "2026-11-23"})
        assert body["events"] == [
            {
                "event_id": "run_1:1:1",
                "kind": "call",
                "occurred_at": "2026-11-22T23:19:05.042Z",
                "source": None,
                "id": None,
                "run_id": "run_1",
                "attempt": 1,
                "call": 1,
                "request_id": "request-of-run_1",
                "agent_id": "agt_1",
                "version": 1,
                "project_id": "prj_1",
                "provider": "simulated",
                "model": "gpt-4",
                "meters": all_meters(requests=1, tokens_in=12, tokens_out=30),
                "cost_nano_usd": None,
                "price_version": "2026-11-01",
                "simulated": True,
            }
        ]
        assert body["pagination"] == LAST_PAGE

    def test_pages_newest_first(self, slice_store: Store) -> None:
        count(slice_store, *(used(f"run_{number}", at=AT + timedelta(seconds=number // 2)) for number in range(5)))
        query = {"from": "2026-11-22", "to": "2026-11-23", "limit": "2"}
        seen: list[str] = []
        token = ""
        while True:
            _, body = get("events", query | ({"next_token": token} if token else {}))
            seen += [event["run_id"] for event in body["events"]]
            if not body["pagination"]["hasMore"]:
                break
            token = body["pagination"]["nextToken"]
        assert seen == ["run_4", "run_3", "run_2", "run_1", "run_0"]

    def test_shows_the_last_24_hours_by_default(self, slice_store: Store) -> None:
        now = datetime.now(UTC)
        for hours in (1, 23, 25):
            count(slice_store, used(f"run_{hours}", at=now - timedelta(hours=hours)))
        _, first = get("events", {"limit": "1"})
        _, second = get("events", {"limit": "1", "next_token": first["pagination"]["nextToken"]})
        assert [event["run_id"] for event in first["events"] + second["events"]] == ["run_1", "run_23"]
        assert second["pagination"] == LAST_PAGE

    def test_range_is_half_open(self, slice_store: Store) -> None:
        later = AT + timedelta(milliseconds=1)
        count(slice_store, used("run_1"), used("run_2", at=later))
        _, body = get("events", {"from": "2026-11-22T23:19:05.042Z", "to": "2026-11-22T23:19:05.043Z"})
        assert [event["run_id"] for event in body["events"]] == ["run_1"]

    def test_refuses_a_token_of_another_range(self, slice_store: Store) -> None:
        count(slice_store, used("run_1"), used("run_2"))
        _, body = get("events", {"from": "2026-11-22", "to": "2026-11-23", "limit": "1"})
        status, refused = get(
            "events", {"from": "2026-11-21", "to": "2026-11-23", "next_token": body["pagination"]["nextToken"]}
        )
        assert (status, refused["error"]) == (400, "BadRequest")

    @pytest.mark.parametrize(
        "query",
        [
            {"from": "2026-11-23", "to": "2026-11-22"},
            {"from": "2025-10-01", "to": "2026-11-23"},
            {"from": "2026-11-22T10:00:00"},
            {"limit": "101"},
            {"group_by": "agent"},
        ],
    )
    def test_refuses_a_bad_query(self, slice_store: Store, query: dict[str, str]) -> None:
        del slice_store
        assert get("events", query)[0] == 422


class TestAccess:
    @pytest.mark.parametrize("name", ["daily", "monthly", "events"])
    def test_refuses_observers_and_other_tenants(self, slice_store: Store, name: str) -> None:
        del slice_store
        assert get(name, role=Role.OBSERVER)[0] == 403
        assert get(name, tenant_id="demo-org2")[0] == 403


@pytest.mark.usefixtures("slice_store")
class TestForgedTokens:
    RANGE = ("2026-11-22T00:00:00.000Z", "2026-11-23T00:00:00.000Z")

    def ask(self, place: str) -> tuple[int, dict[str, Any]]:
        start, end = self.RANGE
        token = seal(place, "demo-org", "usage/events", start, end)
        return get("events", {"from": start, "to": end, "next_token": token})

    @forged_place
    def test_the_list_of_events_refuses_each(self, place: str) -> None:
        assert self.ask(place)[0] == 400

    @pytest.mark.parametrize("day", ["2026-11-21", "2026-11-24"])
    def test_a_place_outside_of_the_range_is_its_end(self, day: str) -> None:
        status, body = self.ask(f"{day}T00:00:00.000Z#run_1:1:1")
        assert (status, body["events"], body["pagination"]) == (200, [], LAST_PAGE)
