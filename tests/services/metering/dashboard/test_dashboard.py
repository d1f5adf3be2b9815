"""Tests of the dashboard and of run statistics."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metering.counters.domain.amounts import Amounts
from services.metering.counters.domain.days import Days, month_of
from services.metering.counters.domain.hours import shard_count
from services.metering.dashboard import operations as overview
from services.metering.dashboard.domain import MAX_AGENTS, MAX_TOP_AGENTS, dashboard_of, forecast
from services.metering.functions.api import handler as app
from services.metering.functions.consumer import handler as consumer
from services.metering.partitions import SLICE
from services.metering.run_statistics import operations as ending
from services.metering.run_statistics.domain.durations import Durations, bucket_of, midpoint_of
from services.metering.run_statistics.domain.statistics import (
    MAX_AGENTS_PER_SHARD,
    RunStatistics,
    finished_run_from_event,
)
from services.metering.run_statistics.table import RunStatisticsTable
from services.metering.usage.domain import UsageRow
from shared.events.envelope import Event, new_event
from shared.events.runs import RunCancelled, RunCompleted, RunEnded, RunFailed
from shared.meters import Meter
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.conflicts import ConflictingDynamoDB
from tests.dynamodb.memory import MemoryDynamoDB
from tests.gateway import claims, request
from tests.messages import batch
from tests.services.metering.fixtures import AT, close_due, count, used
from tests.services.metering.scripted import FINE, LOST_REQUEST, LOST_RESPONSE, Scripted
from tests.services.metering.usage.test_api import all_meters

DASHBOARD = "/v1/tenants/{tenant_id}/analytics/dashboard"
DAYS = {"from": "2026-11-22", "to": "2026-11-24"}


def ended(
    run: str = "run_1",
    *,
    kind: type[RunEnded] = RunCompleted,
    at: datetime = AT,
    took_ms: int = 1_000,
    agent_id: str = "agt_1",
    tenant_id: str = "demo-org",
) -> Event[RunEnded]:
    """Return the event of a finished run."""
    facts = {"run_id": run, "agent_id": agent_id, "version": 1, "ended_at": at, "attempts": 1}
    created_at = at - timedelta(milliseconds=took_ms)
    payload = kind.model_validate({**facts, "created_at": created_at, "error_code": "ProviderUnavailable"})
    return new_event(payload, event_id=f"{run}:1:{kind.TYPE}", tenant_id=tenant_id, subject=run, seq=3, at=at)


def deliver_events(store: Store, *events: Event[RunEnded]) -> dict[str, Exception]:
    """Count these events."""
    payload = [(event.tenant_id, finished_run_from_event(event)) for event in events]
    return ending.count_runs(store, payload, consumer="metering.consumer", now=AT)


def counted(store: Store, tenant_id: str = "demo-org") -> RunStatistics:
    """Return the statistics of all runs of the tenant."""
    total = RunStatistics()
    for _, one in RunStatisticsTable(store, tenant_id).read(Days(date(2026, 1, 1), date(2027, 1, 1))):
        total = total.plus(one)
    return total


def get(query: dict[str, str] | None = None, *, role: Role = Role.ANALYST) -> tuple[int, dict[str, Any]]:
    """Send a request and return the status and the body."""
    requested = request(
        "GET", DASHBOARD, path_parameters={"tenant_id": "demo-org"}, claims=claims(role=role), query=query or DAYS
    )
    answer = app(requested)
    return answer["statusCode"], json.loads(answer["body"])


class TestDashboard:
    def test_is_empty_without_usage(self, slice_store: Store) -> None:
        del slice_store
        status, body = get()
        assert status == 200
        assert body["dashboard"] == {
            "from": "2026-11-22",
            "to": "2026-11-24",
            "meters": all_meters(),
            "cost_nano_usd": None,
            "unpriced_requests": 0,
            "unpriced_tokens": 0,
            "runs": {"completed": 0, "failed": 0, "cancelled": 0, "error_rate_basis_points": None},
            "latency": None,
            "top_agents": [],
            "forecast": {
                "month": f"{datetime.now(UTC):%Y-%m}",
                "meters": all_meters(),
                "cost_nano_usd": None,
                "unpriced_requests": 0,
                "unpriced_tokens": 0,
            },
        }

    def test_returns_usage_and_runs_by_agent(self, slice_store: Store) -> None:
        count(slice_store, used("run_1"), used("run_2", cost_nano_usd=None), used("run_3", agent_id="agt_2"))
        consumer(
            batch(
                ended("run_1", took_ms=100),
                ended("run_2", took_ms=300),
                ended("run_3", kind=RunFailed, agent_id="agt_2"),
                ended("run_4", kind=RunCancelled, agent_id="agt_2", at=AT + timedelta(days=1)),
                ended("run_5", at=AT + timedelta(days=2)),
            )
        )
        found = get()[1]["dashboard"]
        assert found["meters"] == all_meters(requests=3, tokens_in=36, tokens_out=90)
        assert found["cost_nano_usd"] == 1_400
        assert (found["unpriced_requests"], found["unpriced_tokens"]) == (1, 42)
        assert [agent["unpriced_requests"] for agent in found["top_agents"]] == [1, 0]
        assert found["runs"] == {"completed": 2, "failed": 1, "cancelled": 1, "error_rate_basis_points": 3_333}
        assert found["latency"] == {"mean_ms": 200, "p50_ms": 99, "p90_ms": 303, "p95_ms": 303, "p99_ms": 303}
        assert [agent["agent_id"] for agent in found["top_agents"]] == ["agt_1", "agt_2"]
        assert found["top_agents"][1]["runs"]["failed"] == 1
        assert found["top_agents"][1]["latency"] is None

    def test_returns_the_agents_with_the_most_tokens(self, slice_store: Store) -> None:
        meters = [{Meter.TOKENS_IN: number, Meter.REQUESTS: 1} for number in range(15)]
        count(slice_store, *(used(f"run_{n}", agent_id=f"agt_{n}", meters=one) for n, one in enumerate(meters)))
        agents = [agent["agent_id"] for agent in get()[1]["dashboard"]["top_agents"]]
        assert agents == [f"agt_{number}" for number in range(14, 14 - MAX_TOP_AGENTS, -1)]

    def test_defaults_to_the_last_30_days(self, slice_store: Store) -> None:
        now = datetime.now(UTC)
        for days in (0, 29, 30):
            consumer(batch(ended(f"run_{days}", at=now - timedelta(days=days))))
        del slice_store
        answer = app(request("GET", DASHBOARD, path_parameters={"tenant_id": "demo-org"}, claims=claims()))
        assert json.loads(answer["body"])["dashboard"]["runs"]["completed"] == 2

    @pytest.mark.usefixtures("slice_store")
    def test_refuses_observers_and_invalid_ranges(self) -> None:
        assert get(role=Role.OBSERVER)[0] == 403
        assert get({"from": "2026-11-24", "to": "2026-11-22"})[0] == 422
        assert get({"group_by": "agent"})[0] == 422


class TestManyAgents:
    def test_have_a_bounded_number_of_rows_per_day_and_no_run_is_lost(self) -> None:
        table = Scripted([])
        bound = MAX_AGENTS_PER_SHARD * shard_count(AT.date())
        events = [ended(f"run_{number}", agent_id=f"agt_{number}") for number in range(bound + 300)]
        for start in range(0, len(events), 30):
            assert deliver_events(table.store, *events[start : start + 30]) == {}
            assert deliver_events(table.store, *events[start : start + 30]) == {}
        retained = [
            item for item in table.items("TENANT#demo-org#USAGE#RUNS") if item.get("agentId", "other") != "other"
        ]
        assert len(retained) <= bound
        assert counted(table.store).completed == len(events)
        days = Days(date(2026, 11, 22), date(2026, 11, 23))
        in_other_row = [
            one for agent_id, one in RunStatisticsTable(table.store, "demo-org").read(days) if agent_id == "other"
        ]
        assert sum(one.completed for one in in_other_row) == len(events) - len(retained)

    def test_in_other_are_included_in_the_sums_only(self, slice_store: Store) -> None:
        count(slice_store, used("run_1", agent_id="other"), used("run_2"))
        found = get()[1]["dashboard"]
        assert found["meters"]["requests"] == 2
        assert [agent["agent_id"] for agent in found["top_agents"]] == ["agt_1"]

    def test_are_read_up_to_a_limit(self) -> None:
        rows = [UsageRow(AT.date(), f"agt_{number}", Amounts(1)) for number in range(MAX_AGENTS + 50)]
        days = Days(date(2026, 11, 22), date(2026, 11, 23))
        found = dashboard_of(days, rows, [], month_so_far=Amounts(), now=AT)
        assert found.total.amounts.events == MAX_AGENTS + 50
        assert len(found.top_agents) == MAX_TOP_AGENTS

    def test_are_bounded_with_concurrent_containers(self) -> None:
        client = ConflictingDynamoDB(memory := MemoryDynamoDB(), hold_s=0.0005)
        store = Store(client, table="usage", owned=SLICE)
        bound = MAX_AGENTS_PER_SHARD * shard_count(AT.date())
        events = [ended(f"run_{number}", agent_id=f"agt_{number}") for number in range(bound + 200)]
        with ThreadPoolExecutor(8) as pool:
            received = [
                pool.submit(deliver_events, store, *events[start : start + 25]) for start in range(0, len(events), 25)
            ]
            assert [one.result() for one in received] == [{}] * len(received)
        retained = [
            item for item in memory.items("TENANT#demo-org#USAGE#RUNS") if item.get("agentId", "other") != "other"
        ]
        assert len(retained) <= bound
        assert counted(store).completed == len(events)


class TestCountRuns:
    def test_counts_a_redelivered_run_once(self, slice_store: Store) -> None:
        events = [ended("run_1"), ended("run_2", kind=RunFailed), ended("run_3", kind=RunCancelled)]
        for _ in range(2):
            assert consumer(batch(*events, *events)) == {"batchItemFailures": []}
        assert consumer(batch(events[0], ended("run_4"), extra={"mood": "good"})) == {"batchItemFailures": []}
        found = counted(slice_store)
        assert (found.completed, found.failed, found.cancelled, found.durations.count) == (2, 1, 1, 2)

    def test_counts_the_rest_of_a_batch_with_a_poison_message(self, slice_store: Store) -> None:
        records = batch(ended("run_1"), ended("run_2"))
        poison = json.loads(records["Records"][0]["body"])
        poison["detail"]["data"]["ended_at"] = "later"
        records["Records"][0]["body"] = json.dumps(poison)
        assert consumer(records) == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
        assert counted(slice_store).completed == 1

    @settings(deadline=None, max_examples=50)  # a slow machine is no failure
    @given(
        st.lists(st.tuples(st.integers(0, 60), st.sampled_from([RunCompleted, RunFailed, RunCancelled])), max_size=90),
        st.lists(st.sampled_from([FINE, LOST_RESPONSE, LOST_REQUEST]), max_size=12),
    )
    def test_counts_each_run_once_despite_faults(
        self, runs: list[tuple[int, type[RunEnded]]], faults: list[str]
    ) -> None:
        """The event of each run is delivered several times, for two tenants, in batches that may fail."""
        kinds = dict(runs)
        payload = [
            ended(f"run_{run}", kind=kinds[run], agent_id=f"agt_{run}", tenant_id=("demo-org", "demo-org2")[run % 2])
            for run, _ in runs
        ]
        store = Scripted(faults).store
        outbox = payload
        while outbox:
            failed = deliver_events(store, *outbox)
            outbox = [event for event in outbox if event.id in failed]
        for number, tenant_id in enumerate(("demo-org", "demo-org2")):
            of_tenant = [kind for run, kind in kinds.items() if run % 2 == number]
            found = counted(store, tenant_id)
            assert (found.completed, found.failed, found.cancelled) == tuple(
                of_tenant.count(kind) for kind in (RunCompleted, RunFailed, RunCancelled)
            )

    def test_returns_the_events_to_redeliver(self) -> None:
        store = Scripted([FINE, LOST_REQUEST]).store
        assert list(deliver_events(store, ended("run_1"), ended("run_2", tenant_id="demo-org2"))) == [ended("run_2").id]

    def test_uses_the_utc_day_in_which_the_run_ended(self) -> None:
        store = Scripted([]).store
        deliver_events(
            store, ended(at=datetime(2026, 11, 22, 23, 59, 59, 999_000, UTC), took_ms=10_000), ended("run_2", at=AT)
        )
        deliver_events(store, ended("run_3", at=datetime(2026, 11, 23, tzinfo=UTC), took_ms=10_000))
        of_day = RunStatisticsTable(store, "demo-org").read(Days(date(2026, 11, 22), date(2026, 11, 23)))
        assert sum(one.completed for _, one in of_day) == 2


class TestDurations:
    @settings(deadline=None)
    @given(st.integers(0, 10**12))
    def test_the_error_of_a_bucket_is_at_most_one_sixteenth(self, duration_ms: int) -> None:
        assert abs(midpoint_of(bucket_of(duration_ms)) - duration_ms) * 16 <= duration_ms

    def test_buckets_sort_like_durations(self) -> None:
        buckets = [bucket_of(duration_ms) for duration_ms in range(100_000)]
        assert buckets == sorted(buckets)
        assert set(buckets) == set(range(buckets[-1] + 1))

    @settings(deadline=None)
    @given(st.lists(st.integers(0, 10**9), min_size=1, max_size=100), st.integers(1, 100))
    def test_a_percentile_is_close_to_the_exact_one(self, several: list[int], percent: int) -> None:
        durations = Durations()
        for one in several:
            durations = durations.plus(Durations.of(one))
        exact = sorted(several)[-(-len(several) * percent // 100) - 1]
        assert abs(durations.percentile_ms(percent) - exact) * 16 <= exact
        assert durations.mean_ms == sum(several) // len(several)


class TestForecast:
    NOVEMBER = month_of(date(2026, 11, 1))

    @pytest.mark.parametrize(
        ("now", "requests"),
        [
            (datetime(2026, 11, 11, tzinfo=UTC), 300),
            (datetime(2026, 11, 16, tzinfo=UTC), 200),
            (datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), 100),
            # The first minutes are not representative.
            (datetime(2026, 11, 1, 0, 1, tzinfo=UTC), 3_000),
        ],
    )
    def test_extrapolates_linearly(self, now: datetime, requests: int) -> None:
        so_far = Amounts(100, 0, 1_000, {Meter.REQUESTS: 100})
        found = forecast(so_far, month=self.NOVEMBER, now=now)
        assert found.meters == {Meter.REQUESTS: requests}
        assert found.cost_nano_usd == requests * 10

    def test_leaves_an_unknown_cost_unknown(self) -> None:
        so_far = Amounts(100, 100, 0, {Meter.REQUESTS: 100})
        assert forecast(so_far, month=self.NOVEMBER, now=AT).cost_nano_usd is None

    def test_extrapolates_the_part_without_a_price(self) -> None:
        now = datetime(2026, 11, 16, tzinfo=UTC)
        so_far = Amounts(100, 10, 1_000, {Meter.REQUESTS: 100}, unpriced_requests=10, unpriced_tokens=500)
        found = forecast(so_far, month=self.NOVEMBER, now=now)
        assert (found.unpriced_requests, found.unpriced_tokens) == (20, 1_000)


class TestCost:
    def test_depends_on_days_and_agents_and_not_on_events(self) -> None:
        few, many = self.cost_of(events=40), self.cost_of(events=1_000)
        assert few[0] == many[0] <= 9
        # The items are the same. Only their numbers have more digits.
        assert many[1] <= few[1] * 1.25

    def cost_of(self, *, events: int) -> tuple[int, int]:
        """Return the calls and bytes of reading a dashboard of five days with this number of runs a day."""
        memory = MemoryDynamoDB()
        store = Store(memory, table="usage", owned=SLICE, sleep=lambda _: None)
        for day in range(5):
            at = AT - timedelta(days=day)
            names = [f"run_{day}_{number}" for number in range(events)]
            count(store, *(used(name, at=at, agent_id=f"agt_{n % 2}") for n, name in enumerate(names)), now=AT)
            deliver_events(store, *(ended(name, at=at, agent_id=f"agt_{n % 2}") for n, name in enumerate(names[:-1])))
            # Counted one by one, so that all shards are used.
            for n, name in enumerate(f"more_{day}_{number}" for number in range(60)):
                deliver_events(store, ended(name, at=at, agent_id=f"agt_{n % 2}"))
        close_due(store, now=AT + timedelta(hours=2))
        calls, size = memory.calls, memory.bytes_read
        found = overview.dashboard_of(store, "demo-org", Days(date(2026, 11, 1), date(2026, 12, 1)), now=AT)
        assert found.total.statistics.completed == 5 * (events + 59)
        return memory.calls - calls, memory.bytes_read - size
