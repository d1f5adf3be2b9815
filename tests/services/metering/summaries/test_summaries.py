"""Tests of monthly summaries and of thresholds."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from services.metering.ingestion import operations as ingestion
from services.metering.summaries import operations as summarizing
from services.metering.summaries.domain import Summary, thresholds_reached
from services.metering.summaries.operations import SummaryThrottle
from services.metering.summaries.table import INTERVAL
from shared.copies.tenant_access import TenantAccessCopies
from shared.errors import DependencyUnavailable
from shared.meters import Meter
from shared.storage.store import Store
from shared.tenancy.context import Allowance
from tests.services.metering.fixtures import AT, close_due, count, entry, repeat_due, used
from tests.services.metering.scripted import LOST_REQUEST, Scripted
from tests.tenants import tenant_created

MINUTE = timedelta(minutes=1)


class UpdateCounter(Scripted):
    """An empty table that counts single updates."""

    def __init__(self) -> None:
        super().__init__([])
        self.updates = 0

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Count the update."""
        self.updates += 1
        return super().update_item(**arguments)


class HookedReads(Scripted):
    """A table that calls hooks after counters were read."""

    def __init__(self) -> None:
        super().__init__([])
        self.after_reads: list[Callable[[], object]] = []

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Read, then call the hook."""
        answer = super().batch_get_item(**arguments)
        if self.after_reads:
            self.after_reads.pop(0)()
        return answer


@pytest.fixture
def table() -> Scripted:
    """Return an empty table in memory."""
    return Scripted([])


@pytest.fixture
def store(table: Scripted) -> Store:
    """Return the slice in the table."""
    return table.store


def payload(table: Scripted, kind: str) -> list[dict[str, Any]]:
    """Return the events of this type in the outbox, by `seq`."""
    events = [json.loads(str(item["event"])) for item in table.items("TENANT#demo-org#USAGE#OUTBOX")]
    return sorted((event for event in events if event["type"] == kind), key=lambda event: event["seq"])


def summaries(table: Scripted) -> list[tuple[int, int, int]]:
    """Return the sequence number, requests and tokens of each summary."""
    found = payload(table, "usage.summarised.v1")
    return [(event["seq"], event["data"]["requests"], event["data"]["tokens"]) for event in found]


class TestSummarize:
    def test_publishes_the_month_with_the_first_usage(self, table: Scripted, store: Store) -> None:
        count(store, used())
        assert summaries(table) == [(1, 1, 42)]
        assert payload(table, "usage.summarised.v1")[0]["data"]["month"] == "2026-11"

    def test_publishes_once_per_interval(self, table: Scripted, store: Store) -> None:
        for number in range(20):
            count(store, used(f"run_{number}"), now=AT + number * INTERVAL / 20)
        assert len(summaries(table)) == 1
        repeat_due(store, now=AT + INTERVAL)
        assert summaries(table) == [(1, 1, 42), (2, 20, 20 * 42)]

    def test_a_throttled_container_publishes_the_same_with_fewer_requests(self) -> None:
        requested: list[int] = []
        for throttle in (SummaryThrottle(), None):
            table = UpdateCounter()
            for number in range(40):
                now = AT + number * INTERVAL / 20
                ingestion.count(table.store, [("demo-org", entry(used(f"run_{number}")))], now=now, throttle=throttle)
            repeat_due(table.store, now=AT + 2 * INTERVAL)
            assert summaries(table) == [(1, 1, 42), (2, 21, 21 * 42), (3, 40, 40 * 42)]
            requested.append(table.updates)
        # One update per lease, one per refused lease, and one that ends the last interval.
        assert requested == [4, 42]

    def test_checks_once_after_the_interval(self, table: Scripted, store: Store) -> None:
        count(store, used())
        looked = [repeat_due(store, now=AT + number * MINUTE) for number in range(1, 5)]
        assert looked == [1, 0, 0, 0]
        assert len(summaries(table)) == 1

    @pytest.mark.parametrize("behind", [timedelta(), timedelta(seconds=1)])
    def test_publishes_usage_counted_during_a_check(self, behind: timedelta) -> None:
        """Also if the clock of the counting process was behind."""
        table = HookedReads()
        count(table.store, used("run_1"))
        table.after_reads = [lambda: count(table.store, used("run_2"), now=AT + INTERVAL - behind)]
        summarizing.publish_pending(table.store, "demo-org", "2026-11", now=AT + INTERVAL)
        assert summaries(table)[-1][1:] == (2, 84)

    def test_the_closer_publishes_usage_of_an_interval_without_a_summary(self, table: Scripted, store: Store) -> None:
        count(store, used("run_1"))
        count(store, used("run_1"), now=AT + MINUTE)
        count(store, used("run_2"), now=AT + MINUTE)
        assert len(summaries(table)) == 1
        repeat_due(store, now=AT + MINUTE + INTERVAL)
        assert summaries(table)[-1][1:] == (2, 84)

    def test_meters_outside_of_the_summary_trigger_nothing(self, table: Scripted, store: Store) -> None:
        count(store, used("run_1", meters={Meter.TOKENS_CACHE_READ: 5}))
        count(store, used("run_2"))
        assert summaries(table) == [(1, 1, 42)]

    def test_a_container_learns_of_intervals_of_others(self) -> None:
        table, throttle = UpdateCounter(), SummaryThrottle()
        count(table.store, used("run_0"))
        requested = table.updates
        for number in range(1, 20):
            now = AT + number * INTERVAL / 20
            ingestion.count(table.store, [("demo-org", entry(used(f"run_{number}")))], now=now, throttle=throttle)
        assert table.updates == requested + 1
        ingestion.count(table.store, [("demo-org", entry(used("run_20")))], now=AT + INTERVAL, throttle=throttle)
        assert summaries(table)[-1] == (2, 21, 21 * 42)

    def test_leaves_a_new_interval_alone(self, table: Scripted, store: Store) -> None:
        count(store, used("run_1"))
        count(store, used("run_2"), now=AT + INTERVAL)
        count(store, used("run_3"), now=AT + INTERVAL)
        summarizing.publish_pending(store, "demo-org", "2026-11", now=AT + INTERVAL)
        assert len(summaries(table)) == 2
        summarizing.publish_pending(store, "demo-org", "2026-11", now=AT + 2 * INTERVAL)
        assert summaries(table)[-1] == (3, 3, 126)

    def test_an_interrupted_check_is_repeated(self, table: Scripted, store: Store) -> None:
        count(store, used("run_1"))
        count(store, used("run_2"))
        table.next_faults([LOST_REQUEST])
        with pytest.raises(DependencyUnavailable):
            summarizing.publish_pending(store, "demo-org", "2026-11", now=AT + INTERVAL)
        summarizing.publish_pending(store, "demo-org", "2026-11", now=AT + 2 * INTERVAL)
        assert summaries(table)[-1][1:] == (2, 84)

    def test_a_check_of_an_unknown_month_creates_nothing(self, table: Scripted, store: Store) -> None:
        summarizing.publish_pending(store, "demo-org", "2026-11", now=AT)
        assert list(table.items("TENANT#demo-org#USAGE")) == []

    def test_a_redelivered_batch_publishes_its_missing_summary(self, table: Scripted, store: Store) -> None:
        count(store, used("run_1"))
        table.next_faults(["fine", LOST_REQUEST])
        count(store, used("run_2"), now=AT + MINUTE)
        count(store, used("run_2"), now=AT + 2 * MINUTE)
        assert summaries(table)[-1][1:] == (2, 84)

    def test_a_duplicate_triggers_nothing(self, table: Scripted, store: Store) -> None:
        count(store, used())
        count(store, used(), now=AT + MINUTE)
        assert len(summaries(table)) == 1

    def test_closing_an_hour_publishes_a_lost_summary(self, table: Scripted, store: Store) -> None:
        count(store, used("run_1"))
        table.next_faults(["fine", LOST_REQUEST])  # counting, and the summary
        assert count(store, used("run_2"), now=AT + MINUTE) == {}
        assert summaries(table) == [(1, 1, 42)]
        close_due(store, now=AT + timedelta(hours=2))
        assert summaries(table)[-1][1:] == (2, 84)

    def test_closing_an_hour_publishes_nothing_if_all_is_published(self, table: Scripted, store: Store) -> None:
        count(store, used("run_1"))
        repeat_due(store, now=AT + MINUTE)
        close_due(store, now=AT + timedelta(hours=2))
        assert len(summaries(table)) == 1
        assert repeat_due(store, now=AT + timedelta(hours=3)) == 0

    def test_closing_an_hour_publishes_thresholds_of_a_lowered_limit(self, table: Scripted, store: Store) -> None:
        count(store, used("run_1"))
        repeat_due(store, now=AT + MINUTE)
        TenantAccessCopies(store).keep(tenant_created("demo-org", max_requests_per_month=1))
        close_due(store, now=AT + timedelta(hours=2))
        assert [event["data"]["percent"] for event in payload(table, "quota.threshold_reached.v1")] == [50, 80, 100]

    def test_months_are_independent(self, table: Scripted, store: Store) -> None:
        count(store, used("run_1", at=AT - timedelta(days=25)), used("run_2"), now=AT)
        found = {event["data"]["month"]: event["data"]["requests"] for event in payload(table, "usage.summarised.v1")}
        assert found == {"2026-10": 1, "2026-11": 1}


class TestThresholds:
    def keep(self, store: Store, *, requests: int) -> None:
        """Create the tenant with this limit."""
        TenantAccessCopies(store).keep(tenant_created("demo-org", max_requests_per_month=requests))

    def test_are_published_once_per_month(self, table: Scripted, store: Store) -> None:
        self.keep(store, requests=10)
        for number in range(15):
            count(store, used(f"run_{number}", meters={Meter.REQUESTS: 1}), now=AT + number * MINUTE)
        found = [event["data"] for event in payload(table, "quota.threshold_reached.v1")]
        assert [(one["limit"], one["percent"], one["used"], one["allowed"]) for one in found] == [
            ("max_requests_per_month", 50, 5, 10),
            ("max_requests_per_month", 80, 8, 10),
            ("max_requests_per_month", 100, 10, 10),
        ]

    def test_wait_until_the_tenant_is_known(self, table: Scripted, store: Store) -> None:
        count(store, used("run_1"))
        self.keep(store, requests=1)
        count(store, used("run_2"), now=AT + MINUTE)
        assert [event["data"]["percent"] for event in payload(table, "quota.threshold_reached.v1")] == [50, 80, 100]

    @pytest.mark.parametrize(
        ("summary", "reached"),
        [
            (Summary(), []),
            (Summary(requests=49), []),
            (Summary(requests=50), ["max_requests_per_month:50"]),
            (Summary(tokens=1_000_000_000), []),
            (Summary(storage_bytes=500_000_000), ["max_storage_gb:50"]),
            (Summary(storage_bytes=799_999_999), ["max_storage_gb:50"]),
        ],
    )
    def test_are_reached_at_the_exact_percentage(self, summary: Summary, reached: list[str]) -> None:
        allowance = Allowance(requests_per_month=100, tokens_per_month=-1, storage_gb=1, overage=False)
        assert [one.name for one in thresholds_reached(summary, allowance, published=())] == reached

    def test_of_a_zero_limit_are_reached_by_the_first_usage(self) -> None:
        allowance = Allowance(requests_per_month=0, tokens_per_month=-1, storage_gb=0, overage=False)
        found = thresholds_reached(Summary(requests=1), allowance, published=("max_requests_per_month:50",))
        assert [one.percent for one in found] == [80, 100]
