"""A tenant at a glance, over HTTP and from counters alone."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metering.api import app
from services.metering.consumer.usage import consumer
from services.metering.domain.dashboard import MAX_AGENTS, TOP, dashboard_of, forecast
from services.metering.domain.durations import Durations, bucket_of, middle_of
from services.metering.domain.endings import MAX_AGENTS_PER_SHARD, Endings, ending_of
from services.metering.domain.hours import shards_of
from services.metering.domain.periods import Days, Row, month_of
from services.metering.domain.usage import Amounts
from services.metering.operations import ending, overview
from services.metering.table import SLICE, endings
from shared.events.envelope import Event, happened
from shared.events.runs import RunCancelled, RunCompleted, RunEnded, RunFailed
from shared.meters import Meter
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.conflicts import ConflictingDynamoDB
from tests.dynamodb.memory import MemoryDynamoDB
from tests.gateway import claims, request
from tests.messages import batch
from tests.services.metering.scripted import FINE, LOST_ANSWER, LOST_REQUEST, Scripted
from tests.services.metering.test_api import all_meters
from tests.services.metering.usage import AT, close_due, count, used

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
    """A run has ended."""
    facts = {"run_id": run, "agent_id": agent_id, "version": 1, "ended_at": at, "attempts": 1}
    created_at = at - timedelta(milliseconds=took_ms)
    said = kind.model_validate({**facts, "created_at": created_at, "error_code": "ProviderUnavailable"})
    return happened(said, event_id=f"{run}:1:{kind.TYPE}", tenant_id=tenant_id, subject=run, seq=3, at=at)


def hear(store: Store, *events: Event[RunEnded]) -> dict[str, Exception]:
    """Let these be counted."""
    said = [(event.tenant_id, ending_of(event)) for event in events]
    return ending.count_endings(store, said, consumer="metering.consumer", now=AT)


def counted(store: Store, tenant_id: str = "demo-org") -> Endings:
    """All ends of the tenant's runs."""
    total = Endings()
    for _, one in endings.read_endings(store, tenant_id, Days(date(2026, 1, 1), date(2027, 1, 1))):
        total = total.plus(one)
    return total


def get(query: dict[str, str] | None = None, *, role: Role = Role.ANALYST) -> tuple[int, dict[str, Any]]:
    """Status and body."""
    asked = request(
        "GET", DASHBOARD, path_parameters={"tenant_id": "demo-org"}, claims=claims(role=role), query=query or DAYS
    )
    answer = app(asked)
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
            "runs": {"completed": 0, "failed": 0, "cancelled": 0, "error_rate_basis_points": None},
            "latency": None,
            "top_agents": [],
            "forecast": {"month": f"{datetime.now(UTC):%Y-%m}", "meters": all_meters(), "cost_nano_usd": None},
        }

    def test_shows_usage_and_runs_with_their_agents(self, slice_store: Store) -> None:
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
        assert found["runs"] == {"completed": 2, "failed": 1, "cancelled": 1, "error_rate_basis_points": 3_333}
        assert found["latency"] == {"mean_ms": 200, "p50_ms": 99, "p90_ms": 303, "p95_ms": 303, "p99_ms": 303}
        assert [agent["agent_id"] for agent in found["top_agents"]] == ["agt_1", "agt_2"]
        assert found["top_agents"][1]["runs"]["failed"] == 1
        assert found["top_agents"][1]["latency"] is None

    def test_shows_the_agents_that_used_most(self, slice_store: Store) -> None:
        meters = [{Meter.TOKENS_IN: number, Meter.REQUESTS: 1} for number in range(15)]
        count(slice_store, *(used(f"run_{n}", agent_id=f"agt_{n}", meters=one) for n, one in enumerate(meters)))
        agents = [agent["agent_id"] for agent in get()[1]["dashboard"]["top_agents"]]
        assert agents == [f"agt_{number}" for number in range(14, 14 - TOP, -1)]

    def test_shows_the_last_30_days_by_default(self, slice_store: Store) -> None:
        now = datetime.now(UTC)
        for days in (0, 29, 30):
            consumer(batch(ended(f"run_{days}", at=now - timedelta(days=days))))
        del slice_store
        answer = app(request("GET", DASHBOARD, path_parameters={"tenant_id": "demo-org"}, claims=claims()))
        assert json.loads(answer["body"])["dashboard"]["runs"]["completed"] == 2

    @pytest.mark.usefixtures("slice_store")
    def test_refuses_observers_and_bad_ranges(self) -> None:
        assert get(role=Role.OBSERVER)[0] == 403
        assert get({"from": "2026-11-24", "to": "2026-11-22"})[0] == 422
        assert get({"group_by": "agent"})[0] == 422


class TestManyAgents:
    def test_of_a_day_have_a_bounded_number_of_rows_and_no_run_is_lost(self) -> None:
        table = Scripted([])
        bound = MAX_AGENTS_PER_SHARD * shards_of(AT.date())
        events = [ended(f"run_{number}", agent_id=f"agt_{number}") for number in range(bound + 300)]
        for start in range(0, len(events), 30):
            assert hear(table.store, *events[start : start + 30]) == {}
            assert hear(table.store, *events[start : start + 30]) == {}
        kept = [item for item in table.items("TENANT#demo-org#USAGE#RUNS") if item.get("agentId", "other") != "other"]
        assert len(kept) <= bound
        assert counted(table.store).completed == len(events)
        days = Days(date(2026, 11, 22), date(2026, 11, 23))
        of_other = [one for agent_id, one in endings.read_endings(table.store, "demo-org", days) if agent_id == "other"]
        assert sum(one.completed for one in of_other) == len(events) - len(kept)

    def test_in_other_are_in_the_sums_and_not_among_the_agents(self, slice_store: Store) -> None:
        count(slice_store, used("run_1", agent_id="other"), used("run_2"))
        found = get()[1]["dashboard"]
        assert found["meters"]["requests"] == 2
        assert [agent["agent_id"] for agent in found["top_agents"]] == ["agt_1"]

    def test_read_at_once_are_bounded(self) -> None:
        rows = [Row(AT.date(), f"agt_{number}", Amounts(1)) for number in range(MAX_AGENTS + 50)]
        days = Days(date(2026, 11, 22), date(2026, 11, 23))
        found = dashboard_of(days, rows, [], month_so_far=Amounts(), now=AT)
        assert found.total.amounts.events == MAX_AGENTS + 50
        assert len(found.top_agents) == TOP

    def test_that_count_at_once_are_bounded_too(self) -> None:
        client = ConflictingDynamoDB(memory := MemoryDynamoDB(), hold_s=0.0005)
        store = Store(client, table="usage", owned=SLICE)
        bound = MAX_AGENTS_PER_SHARD * shards_of(AT.date())
        events = [ended(f"run_{number}", agent_id=f"agt_{number}") for number in range(bound + 200)]
        with ThreadPoolExecutor(8) as pool:
            heard = [pool.submit(hear, store, *events[start : start + 25]) for start in range(0, len(events), 25)]
            assert [one.result() for one in heard] == [{}] * len(heard)
        kept = [item for item in memory.items("TENANT#demo-org#USAGE#RUNS") if item.get("agentId", "other") != "other"]
        assert len(kept) <= bound
        assert counted(store).completed == len(events)


class TestCountEndings:
    def test_counts_a_run_once_whatever_comes_again(self, slice_store: Store) -> None:
        events = [ended("run_1"), ended("run_2", kind=RunFailed), ended("run_3", kind=RunCancelled)]
        for _ in range(2):
            assert consumer(batch(*events, *events)) == {"batchItemFailures": []}
        assert consumer(batch(events[0], ended("run_4"), extra={"mood": "good"})) == {"batchItemFailures": []}
        found = counted(slice_store)
        assert (found.completed, found.failed, found.cancelled, found.durations.number) == (2, 1, 1, 2)

    def test_counts_the_rest_of_a_batch_with_a_poison_message(self, slice_store: Store) -> None:
        records = batch(ended("run_1"), ended("run_2"))
        poison = json.loads(records["Records"][0]["body"])
        poison["detail"]["data"]["ended_at"] = "later"
        records["Records"][0]["body"] = json.dumps(poison)
        assert consumer(records) == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
        assert counted(slice_store).completed == 1

    @settings(deadline=None, max_examples=50)  # a busy machine is no failure
    @given(
        st.lists(st.tuples(st.integers(0, 60), st.sampled_from([RunCompleted, RunFailed, RunCancelled])), max_size=90),
        st.lists(st.sampled_from([FINE, LOST_ANSWER, LOST_REQUEST]), max_size=12),
    )
    def test_counts_each_once_through_faults(self, runs: list[tuple[int, type[RunEnded]]], faults: list[str]) -> None:
        """A run has one end; it is told several times, in two tenants, in batches that fail."""
        kinds = dict(runs)
        said = [
            ended(f"run_{run}", kind=kinds[run], agent_id=f"agt_{run}", tenant_id=("demo-org", "demo-org2")[run % 2])
            for run, _ in runs
        ]
        store = Scripted(faults).store
        waiting = said
        while waiting:
            failed = hear(store, *waiting)
            waiting = [event for event in waiting if event.id in failed]
        for number, tenant_id in enumerate(("demo-org", "demo-org2")):
            of_tenant = [kind for run, kind in kinds.items() if run % 2 == number]
            found = counted(store, tenant_id)
            assert (found.completed, found.failed, found.cancelled) == tuple(
                of_tenant.count(kind) for kind in (RunCompleted, RunFailed, RunCancelled)
            )

    def test_says_which_must_come_again(self) -> None:
        store = Scripted([FINE, LOST_REQUEST]).store
        assert list(hear(store, ended("run_1"), ended("run_2", tenant_id="demo-org2"))) == [ended("run_2").id]

    def test_is_of_the_day_in_utc_in_which_the_run_ended(self) -> None:
        store = Scripted([]).store
        hear(store, ended(at=datetime(2026, 11, 22, 23, 59, 59, 999_000, UTC), took_ms=10_000), ended("run_2", at=AT))
        hear(store, ended("run_3", at=datetime(2026, 11, 23, tzinfo=UTC), took_ms=10_000))
        of_day = endings.read_endings(store, "demo-org", Days(date(2026, 11, 22), date(2026, 11, 23)))
        assert sum(one.completed for _, one in of_day) == 2


class TestDurations:
    @settings(deadline=None)
    @given(st.integers(0, 10**12))
    def test_a_bucket_is_a_sixteenth_wide_to_each_side(self, duration_ms: int) -> None:
        assert abs(middle_of(bucket_of(duration_ms)) - duration_ms) * 16 <= duration_ms

    def test_buckets_sort_as_durations_do(self) -> None:
        buckets = [bucket_of(duration_ms) for duration_ms in range(100_000)]
        assert buckets == sorted(buckets)
        assert set(buckets) == set(range(buckets[-1] + 1))

    @settings(deadline=None)
    @given(st.lists(st.integers(0, 10**9), min_size=1, max_size=100), st.integers(1, 100))
    def test_a_percentile_is_near_that_of_the_durations_themselves(self, several: list[int], percent: int) -> None:
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
            # The first minutes say little.
            (datetime(2026, 11, 1, 0, 1, tzinfo=UTC), 3_000),
        ],
    )
    def test_goes_on_as_it_did(self, now: datetime, requests: int) -> None:
        so_far = Amounts(100, 0, 1_000, {Meter.REQUESTS: 100})
        found = forecast(so_far, month=self.NOVEMBER, now=now)
        assert found.meters == {Meter.REQUESTS: requests}
        assert found.cost_nano_usd == requests * 10

    def test_does_not_guess_a_cost(self) -> None:
        so_far = Amounts(100, 100, 0, {Meter.REQUESTS: 100})
        assert forecast(so_far, month=self.NOVEMBER, now=AT).cost_nano_usd is None


class TestCost:
    def test_follows_days_and_agents_and_not_the_events(self) -> None:
        few, many = self.cost_of(events=40), self.cost_of(events=1_000)
        assert few[0] == many[0] <= 9
        # The same items; only their numbers are longer.
        assert many[1] <= few[1] * 1.25

    def cost_of(self, *, events: int) -> tuple[int, int]:
        """The calls and bytes that a dashboard reads after so many runs of two agents in each of five days."""
        memory = MemoryDynamoDB()
        store = Store(memory, table="usage", owned=SLICE, sleep=lambda _: None)
        for day in range(5):
            at = AT - timedelta(days=day)
            names = [f"run_{day}_{number}" for number in range(events)]
            count(store, *(used(name, at=at, agent_id=f"agt_{n % 2}") for n, name in enumerate(names)), now=AT)
            hear(store, *(ended(name, at=at, agent_id=f"agt_{n % 2}") for n, name in enumerate(names[:-1])))
            # One by one, so that all shards are in use with few events too.
            for n, name in enumerate(f"more_{day}_{number}" for number in range(60)):
                hear(store, ended(name, at=at, agent_id=f"agt_{n % 2}"))
        close_due(store, now=AT + timedelta(hours=2))
        calls, size = memory.calls, memory.bytes_read
        found = overview.dashboard_of(store, "demo-org", Days(date(2026, 11, 1), date(2026, 12, 1)), now=AT)
        assert found.total.endings.completed == 5 * (events + 59)
        return memory.calls - calls, memory.bytes_read - size
