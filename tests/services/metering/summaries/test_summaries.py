"""The month so far, said soon and not too often, and the thresholds of limits, said once."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from services.metering.domain.summary import Summary, thresholds_reached
from services.metering.operations import counting, summarising
from services.metering.operations.summarising import Pauses
from services.metering.table.summaries import PAUSE
from shared.copies.tenant_access import TenantAccessCopies
from shared.errors import DependencyUnavailable
from shared.meters import Meter
from shared.storage.store import Store
from shared.tenancy.context import Allowance
from tests.services.metering.scripted import LOST_REQUEST, Scripted
from tests.services.metering.usage import AT, close_due, count, entry, repeat_due, used
from tests.tenants import tenant_created

MINUTE = timedelta(minutes=1)


class Counting(Scripted):
    """An empty table that counts single updates."""

    def __init__(self) -> None:
        super().__init__([])
        self.updates = 0

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Count it."""
        self.updates += 1
        return super().update_item(**arguments)


class Interrupted(Scripted):
    """Lets something happen just after the counters were read."""

    def __init__(self) -> None:
        super().__init__([])
        self.after_reads: list[Callable[[], object]] = []

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Read, then let it happen."""
        answer = super().batch_get_item(**arguments)
        if self.after_reads:
            self.after_reads.pop(0)()
        return answer


@pytest.fixture
def table() -> Scripted:
    """An empty table."""
    return Scripted([])


@pytest.fixture
def store(table: Scripted) -> Store:
    """The slice in it."""
    return table.store


def said(table: Scripted, kind: str) -> list[dict[str, Any]]:
    """What waits to be published of this type, by `seq`."""
    events = [json.loads(str(item["event"])) for item in table.items("TENANT#demo-org#USAGE#OUTBOX")]
    return sorted((event for event in events if event["type"] == kind), key=lambda event: event["seq"])


def summaries(table: Scripted) -> list[tuple[int, int, int]]:
    """The number, requests and tokens of each summary."""
    found = said(table, "usage.summarised.v1")
    return [(event["seq"], event["data"]["requests"], event["data"]["tokens"]) for event in found]


class TestSummarise:
    def test_says_the_month_with_the_first_usage(self, table: Scripted, store: Store) -> None:
        count(store, used())
        assert summaries(table) == [(1, 1, 42)]
        assert said(table, "usage.summarised.v1")[0]["data"]["month"] == "2026-11"

    def test_is_silent_in_the_pause_and_says_the_rest_after_it(self, table: Scripted, store: Store) -> None:
        for number in range(20):
            count(store, used(f"run_{number}"), now=AT + number * PAUSE / 20)
        assert len(summaries(table)) == 1
        repeat_due(store, now=AT + PAUSE)
        assert summaries(table) == [(1, 1, 42), (2, 20, 20 * 42)]

    def test_of_a_container_that_knows_its_pause_is_the_same_and_asks_no_more(self) -> None:
        asked: list[int] = []
        for pauses in (Pauses(), None):
            table = Counting()
            for number in range(40):
                now = AT + number * PAUSE / 20
                counting.count(table.store, [("demo-org", entry(used(f"run_{number}")))], now=now, pauses=pauses)
            repeat_due(table.store, now=AT + 2 * PAUSE)
            assert summaries(table) == [(1, 1, 42), (2, 21, 21 * 42), (3, 40, 40 * 42)]
            asked.append(table.updates)
        # Besides the turns, and what asks for one in vain, the last look ends a pause.
        assert asked == [4, 42]

    def test_looks_again_once_and_then_rests(self, table: Scripted, store: Store) -> None:
        count(store, used())
        looked = [repeat_due(store, now=AT + number * MINUTE) for number in range(1, 5)]
        assert looked == [1, 0, 0, 0]
        assert len(summaries(table)) == 1

    @pytest.mark.parametrize("behind", [timedelta(), timedelta(seconds=1)])
    def test_says_what_was_counted_while_it_looked(self, behind: timedelta) -> None:
        """Also where the clock of whoever counted it was behind."""
        table = Interrupted()
        count(table.store, used("run_1"))
        table.after_reads = [lambda: count(table.store, used("run_2"), now=AT + PAUSE - behind)]
        summarising.look_again(table.store, "demo-org", "2026-11", now=AT + PAUSE)
        assert summaries(table)[-1][1:] == (2, 84)

    def test_says_by_the_clock_what_was_counted_in_a_pause_in_which_nothing_was_said(
        self, table: Scripted, store: Store
    ) -> None:
        count(store, used("run_1"))
        count(store, used("run_1"), now=AT + MINUTE)
        count(store, used("run_2"), now=AT + MINUTE)
        assert len(summaries(table)) == 1
        repeat_due(store, now=AT + MINUTE + PAUSE)
        assert summaries(table)[-1][1:] == (2, 84)

    def test_usage_that_it_does_not_show_is_no_reason(self, table: Scripted, store: Store) -> None:
        count(store, used("run_1", meters={Meter.TOKENS_CACHE_READ: 5}))
        count(store, used("run_2"))
        assert summaries(table) == [(1, 1, 42)]

    def test_a_container_learns_of_the_pauses_of_others(self) -> None:
        table, pauses = Counting(), Pauses()
        count(table.store, used("run_0"))
        asked = table.updates
        for number in range(1, 20):
            now = AT + number * PAUSE / 20
            counting.count(table.store, [("demo-org", entry(used(f"run_{number}")))], now=now, pauses=pauses)
        assert table.updates == asked + 1
        counting.count(table.store, [("demo-org", entry(used("run_20")))], now=AT + PAUSE, pauses=pauses)
        assert summaries(table)[-1] == (2, 21, 21 * 42)

    def test_leaves_a_pause_that_was_begun_meanwhile_alone(self, table: Scripted, store: Store) -> None:
        count(store, used("run_1"))
        count(store, used("run_2"), now=AT + PAUSE)
        count(store, used("run_3"), now=AT + PAUSE)
        summarising.look_again(store, "demo-org", "2026-11", now=AT + PAUSE)
        assert len(summaries(table)) == 2
        summarising.look_again(store, "demo-org", "2026-11", now=AT + 2 * PAUSE)
        assert summaries(table)[-1] == (3, 3, 126)

    def test_a_look_that_breaks_off_is_done_when_it_comes_again(self, table: Scripted, store: Store) -> None:
        count(store, used("run_1"))
        count(store, used("run_2"))
        table.next_faults([LOST_REQUEST])
        with pytest.raises(DependencyUnavailable):
            summarising.look_again(store, "demo-org", "2026-11", now=AT + PAUSE)
        summarising.look_again(store, "demo-org", "2026-11", now=AT + 2 * PAUSE)
        assert summaries(table)[-1][1:] == (2, 84)

    def test_a_look_at_a_month_that_is_not_there_makes_none(self, table: Scripted, store: Store) -> None:
        summarising.look_again(store, "demo-org", "2026-11", now=AT)
        assert list(table.items("TENANT#demo-org#USAGE")) == []

    def test_a_batch_that_broke_off_after_it_was_counted_is_said_when_it_comes_again(
        self, table: Scripted, store: Store
    ) -> None:
        count(store, used("run_1"))
        table.next_faults(["fine", LOST_REQUEST])
        count(store, used("run_2"), now=AT + MINUTE)
        count(store, used("run_2"), now=AT + 2 * MINUTE)
        assert summaries(table)[-1][1:] == (2, 84)

    def test_a_duplicate_is_no_reason(self, table: Scripted, store: Store) -> None:
        count(store, used())
        count(store, used(), now=AT + MINUTE)
        assert len(summaries(table)) == 1

    def test_one_that_is_lost_is_made_up_for_when_the_hour_is_closed(self, table: Scripted, store: Store) -> None:
        count(store, used("run_1"))
        table.next_faults(["fine", LOST_REQUEST])  # the counting, and the summary
        assert count(store, used("run_2"), now=AT + MINUTE) == {}
        assert summaries(table) == [(1, 1, 42)]
        close_due(store, now=AT + timedelta(hours=2))
        assert summaries(table)[-1][1:] == (2, 84)

    def test_closing_an_hour_publishes_nothing_and_begins_no_pause_where_all_is_known(
        self, table: Scripted, store: Store
    ) -> None:
        count(store, used("run_1"))
        repeat_due(store, now=AT + MINUTE)
        close_due(store, now=AT + timedelta(hours=2))
        assert len(summaries(table)) == 1
        assert repeat_due(store, now=AT + timedelta(hours=3)) == 0

    def test_thresholds_that_a_lower_limit_has_reached_are_published_when_the_hour_is_closed(
        self, table: Scripted, store: Store
    ) -> None:
        count(store, used("run_1"))
        repeat_due(store, now=AT + MINUTE)
        TenantAccessCopies(store).keep(tenant_created("demo-org", max_requests_per_month=1))
        close_due(store, now=AT + timedelta(hours=2))
        assert [event["data"]["percent"] for event in said(table, "quota.threshold_reached.v1")] == [50, 80, 100]

    def test_is_of_each_month_by_itself(self, table: Scripted, store: Store) -> None:
        count(store, used("run_1", at=AT - timedelta(days=25)), used("run_2"), now=AT)
        found = {event["data"]["month"]: event["data"]["requests"] for event in said(table, "usage.summarised.v1")}
        assert found == {"2026-10": 1, "2026-11": 1}


class TestThresholds:
    def keep(self, store: Store, *, requests: int) -> None:
        """The tenant with this limit."""
        TenantAccessCopies(store).keep(tenant_created("demo-org", max_requests_per_month=requests))

    def test_are_said_once_in_a_month(self, table: Scripted, store: Store) -> None:
        self.keep(store, requests=10)
        for number in range(15):
            count(store, used(f"run_{number}", meters={Meter.REQUESTS: 1}), now=AT + number * MINUTE)
        found = [event["data"] for event in said(table, "quota.threshold_reached.v1")]
        assert [(one["limit"], one["percent"], one["used"], one["allowed"]) for one in found] == [
            ("max_requests_per_month", 50, 5, 10),
            ("max_requests_per_month", 80, 8, 10),
            ("max_requests_per_month", 100, 10, 10),
        ]

    def test_of_a_tenant_that_is_not_known_yet_wait_for_it(self, table: Scripted, store: Store) -> None:
        count(store, used("run_1"))
        self.keep(store, requests=1)
        count(store, used("run_2"), now=AT + MINUTE)
        assert [event["data"]["percent"] for event in said(table, "quota.threshold_reached.v1")] == [50, 80, 100]

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
    def test_count_from_the_exact_part(self, summary: Summary, reached: list[str]) -> None:
        allowance = Allowance(requests_per_month=100, tokens_per_month=-1, storage_gb=1, overage=False)
        assert [one.name for one in thresholds_reached(summary, allowance, said=())] == reached

    def test_of_a_limit_of_zero_are_reached_by_the_first_use(self) -> None:
        allowance = Allowance(requests_per_month=0, tokens_per_month=-1, storage_gb=0, overage=False)
        found = thresholds_reached(Summary(requests=1), allowance, said=("max_requests_per_month:50",))
        assert [one.percent for one in found] == [80, 100]
