"""Tests of the usage endpoints."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.metering.functions.api import handler as app
from shared.events.envelope import Event
from shared.events.runs import UsageRecorded
from shared.http.token import seal
from shared.meters import LEDGER_METERS
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.forged_cursors import every_forged_position
from tests.gateway import REQUEST_ID, claims, request
from tests.services.metering.fixtures import AT, used
from tests.services.metering.fixtures import count as count_usage

USAGE = "/v1/tenants/{tenant_id}/usage"
LAST_PAGE = {"nextToken": None, "hasMore": False}


def get(
    name: str, query: dict[str, str] | None = None, *, tenant_id: str = "demo-org", role: Role = Role.ANALYST
) -> tuple[int, dict[str, Any]]:
    """Send a request and return the status and the body."""
    payload = claims(role=role)
    answer = app(
        request("GET", f"{USAGE}/{name}", path_parameters={"tenant_id": tenant_id}, claims=payload, query=query)
    )
    return answer["statusCode"], json.loads(answer["body"])


def all_meters(**counted: int) -> dict[str, int]:
    """Return every meter, with 0 for those that are not given."""
    return {meter.value: counted.get(meter.value, 0) for meter in LEDGER_METERS}


def count(store: Store, *events: Event[UsageRecorded]) -> None:
    """Count these events."""
    assert count_usage(store, *events) == {}


class TestDaily:
    def test_is_empty_without_usage(self, slice_store: Store) -> None:
        del slice_store
        assert get("daily") == (200, {"daily": [], "pagination": LAST_PAGE, "requestId": REQUEST_ID})

    def test_sums_the_hours_of_a_day_over_all_shards(self, slice_store: Store) -> None:
        count(slice_store, *(used(f"run_{number}", at=AT - timedelta(hours=number % 3)) for number in range(12)))
        count(slice_store, used("run_20", at=AT + timedelta(hours=1), cost_nano_usd=None))
        status, body = get("daily", {"from": "2026-11-22", "to": "2026-11-24"})
        assert status == 200
        assert body["daily"] == [
            {
                "date": "2026-11-23",
                "meters": all_meters(requests=1, tokens_in=12, tokens_out=30),
                "cost_nano_usd": None,
                "unpriced_requests": 1,
                "unpriced_tokens": 42,
            },
            {
                "date": "2026-11-22",
                "meters": all_meters(requests=12, tokens_in=144, tokens_out=360),
                "cost_nano_usd": 8400,
                "unpriced_requests": 0,
                "unpriced_tokens": 0,
            },
        ]
        assert body["pagination"] == LAST_PAGE

    def test_excludes_the_end_of_the_range(self, slice_store: Store) -> None:
        count(slice_store, used("run_1", at=datetime(2026, 11, 22, 23, 59, 59, 999_000, UTC)))
        count(slice_store, used("run_2", at=datetime(2026, 11, 23, tzinfo=UTC)))
        assert [row["date"] for row in get("daily", {"from": "2026-11-22", "to": "2026-11-23"})[1]["daily"]] == [
            "2026-11-22"
        ]
        assert [row["date"] for row in get("daily", {"from": "2026-11-23", "to": "2026-11-24"})[1]["daily"]] == [
            "2026-11-23"
        ]

    def test_defaults_to_the_last_30_days(self, slice_store: Store) -> None:
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
    def test_groups_by_the_requested_dimension(
        self, slice_store: Store, group_by: str, field: str, groups: dict[str | None, int]
    ) -> None:
        count(slice_store, used("run_1"), used("run_2"))
        count(slice_store, used("run_3", agent_id="agt_2", model="claude", project_id="prj_1"))
        rows = get("daily", {"from": "2026-11-22", "to": "2026-11-23", "group_by": group_by})[1]["daily"]
        assert {row[field]: row["meters"]["requests"] for row in rows} == groups
        assert set(rows[0]) == {"date", "meters", "cost_nano_usd", "unpriced_requests", "unpriced_tokens", field}

    def test_states_the_part_of_a_sum_without_a_price(self, slice_store: Store) -> None:
        count(slice_store, used("run_1", cost_nano_usd=None), used("run_2", cost_nano_usd=0), used("run_3"))
        [row] = get("daily", {"from": "2026-11-22", "to": "2026-11-23"})[1]["daily"]
        assert row["meters"]["requests"] == 3
        assert (row["cost_nano_usd"], row["unpriced_requests"], row["unpriced_tokens"]) == (700, 1, 42)

    def test_excludes_a_tenant_with_the_same_prefix(self, slice_store: Store) -> None:
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
            {"limit": "0"},
            {"limit": "1001"},
        ],
    )
    def test_refuses_an_invalid_query(self, slice_store: Store, query: dict[str, str]) -> None:
        del slice_store
        status, body = get("daily", query)
        assert (status, body["error"]) == (422, "ValidationFailed")
        assert body["details"][0]["field"] in {"from", "to", "group_by", "limit"}


@pytest.mark.report(25)
class TestDays:
    @pytest.mark.parametrize(
        "text",
        [
            *("2026-11-22T00:00:00Z", "2026-11-22T00:00:00+05:30", "2026-11-22T00:00:00", "2026-11-22 00:00"),
            *("1764460800", "1764460800000", "20261122", "2026-11-31", "2026-1-1", "-1", "\u0662026-11-22", ""),
        ],
        ids=ascii,
    )
    @pytest.mark.parametrize("name", ["from", "to"])
    @pytest.mark.parametrize("route", ["daily", "monthly"])
    def test_are_dates_without_a_time(self, slice_store: Store, route: str, name: str, text: str) -> None:
        del slice_store
        status, body = get(route, {name: text})
        assert (status, [detail["field"] for detail in body["details"]]) == (422, [name])

    def test_are_explained(self, slice_store: Store) -> None:
        del slice_store
        [detail] = get("daily", {"from": "2026-11-22T00:00:00+05:30"})[1]["details"]
        assert detail["message"] == "must be a date such as 2026-11-22, or a month such as 2026-11; days are in UTC"

    @pytest.mark.parametrize("text", ["2026-11-22T00:00:00Z", "1764460800"])
    def test_of_the_dashboard_are_dates_too(self, slice_store: Store, text: str) -> None:
        del slice_store
        resource = "/v1/tenants/{tenant_id}/analytics/dashboard"
        path = {"tenant_id": "demo-org"}
        answer = app(
            request("GET", resource, path_parameters=path, claims=claims(role=Role.ANALYST), query={"from": text})
        )
        assert answer["statusCode"] == 422

    def test_of_events_are_dates_or_times_but_no_numbers(self, slice_store: Store) -> None:
        del slice_store
        assert get("events", {"from": "2026-11-22", "to": "2026-11-22T05:30:00+05:30"})[0] == 422  # Both are one time.
        assert get("events", {"from": "2026-11-22", "to": "2026-11-22T05:30:01+05:30"})[0] == 200
        assert get("events", {"from": "1764460800"})[0] == 422


RANGE = {"from": "2026-11-20", "to": "2026-11-24"}


@pytest.mark.report(25)
class TestPages:
    def pages(self, route: str, query: dict[str, str]) -> list[list[dict[str, Any]]]:
        """Return all pages of a list."""
        pages, token = list[list[dict[str, Any]]](), dict[str, str]()
        while True:
            status, body = get(route, {**query, **token})
            assert status == 200, body
            pages.append(body[route])
            if not body["pagination"]["hasMore"]:
                return pages
            token = {"next_token": body["pagination"]["nextToken"]}

    @pytest.mark.parametrize("group_by", [None, "agent", "model", "project"])
    @pytest.mark.parametrize("route", ["daily", "monthly"])
    @pytest.mark.parametrize("limit", [1, 2, 3, 1000])
    def test_have_every_row_once(self, slice_store: Store, route: str, group_by: str | None, limit: int) -> None:
        for number, day in enumerate((20, 20, 21, 22, 22, 22)):
            project_id = f"prj_{number}" if number % 2 else None
            at = datetime(2026, 11, day, tzinfo=UTC)
            count(slice_store, used(f"run_{number}", at=at, agent_id=f"agt_{number % 3}", project_id=project_id))
        query = RANGE | ({"group_by": group_by} if group_by else {})
        pages = self.pages(route, query | {"limit": str(limit)})
        assert [row for page in pages for row in page] == get(route, query)[1][route]
        assert {len(page) for page in pages[:-1]} <= {limit}

    def test_of_another_list_have_other_tokens(self, slice_store: Store) -> None:
        count(slice_store, *(used(f"run_{day}", at=datetime(2026, 11, day, tzinfo=UTC)) for day in (20, 21)))
        token = get("daily", RANGE | {"limit": "1"})[1]["pagination"]["nextToken"]
        assert get("daily", RANGE | {"nextToken": token})[0] == 200
        assert get("daily", {**RANGE, "from": "2026-11-19", "next_token": token})[0] == 400
        assert get("monthly", RANGE | {"next_token": token})[0] == 400
        assert get("daily", RANGE | {"group_by": "agent", "next_token": token})[0] == 400

    def test_are_of_one_tenant(self, slice_store: Store) -> None:
        for tenant_id in ("demo-org", "other-org"):
            for day in (20, 21):
                at = datetime(2026, 11, day, tzinfo=UTC)
                count(slice_store, used(f"run_{tenant_id}{day}", tenant_id=tenant_id, at=at))
        token = seal("2026-11-21#", "other-org", "usage", "day", "2026-11-20", "2026-11-24", "None")
        assert get("daily", RANGE | {"next_token": token})[0] == 400

    @every_forged_position
    def test_refuse_each_forged_token(self, slice_store: Store, position: str) -> None:
        del slice_store
        token = seal(position, "demo-org", "usage", "day", "2026-11-20", "2026-11-24", "None")
        assert get("daily", RANGE | {"next_token": token})[0] == 400


class TestMonthly:
    def test_sums_days(self, slice_store: Store) -> None:
        for number, day in enumerate(((2026, 10, 1), (2026, 10, 31), (2026, 11, 1))):
            count(slice_store, used(f"run_{number}", at=datetime(*day, 23, tzinfo=UTC)))
        rows = get("monthly", {"from": "2026-10", "to": "2026-12"})[1]["monthly"]
        assert [(row["month"], row["meters"]["requests"]) for row in rows] == [("2026-11", 1), ("2026-10", 2)]
        assert rows[0]["cost_nano_usd"] == 700

    def test_sums_the_requested_days_only(self, slice_store: Store) -> None:
        for day in (1, 15, 30):
            count(slice_store, used(f"run_{day}", at=datetime(2026, 11, day, tzinfo=UTC)))
        [row] = get("monthly", {"from": "2026-11-02", "to": "2026-11-30"})[1]["monthly"]
        assert row["meters"]["requests"] == 1

    def test_defaults_to_the_last_12_months(self, slice_store: Store) -> None:
        now = datetime.now(UTC)
        count(slice_store, used("run_1", at=now))
        count(slice_store, used("run_2", at=now - timedelta(days=366)))
        assert [row["month"] for row in get("monthly")[1]["monthly"]] == [f"{now:%Y-%m}"]

    def test_groups(self, slice_store: Store) -> None:
        count(slice_store, used("run_1"), used("run_2", agent_id="agt_2"))
        rows = get("monthly", {"from": "2026-11", "to": "2026-12", "group_by": "agent"})[1]["monthly"]
        assert [(row["month"], row["agent_id"]) for row in rows] == [("2026-11", "agt_1"), ("2026-11", "agt_2")]


class TestEvents:
    def test_returns_an_event(self, slice_store: Store) -> None:
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
                "usage_estimated": False,
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

    def test_defaults_to_the_last_24_hours(self, slice_store: Store) -> None:
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
    def test_refuses_an_invalid_query(self, slice_store: Store, query: dict[str, str]) -> None:
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

    def ask(self, position: str) -> tuple[int, dict[str, Any]]:
        start, end = self.RANGE
        token = seal(position, "demo-org", "usage/events", start, end)
        return get("events", {"from": start, "to": end, "next_token": token})

    @every_forged_position
    def test_the_list_of_events_refuses_each_token(self, position: str) -> None:
        assert self.ask(position)[0] == 400

    @pytest.mark.parametrize("day", ["2026-11-21", "2026-11-24"])
    def test_a_position_outside_of_the_range_is_its_end(self, day: str) -> None:
        status, body = self.ask(f"{day}T00:00:00.000Z#run_1:1:1")
        assert (status, body["events"], body["pagination"]) == (200, [], LAST_PAGE)
