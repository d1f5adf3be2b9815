"""Tests of the limits of rows by dimension in an hour, day and month, with exact sums."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.metering.counters.domain.amounts import OTHER, Amounts, Dimensions, dimensions_key
from services.metering.counters.domain.counter import MAX_ROWS_PER_SHARD, HourCounter
from services.metering.counters.domain.days import Days, UsagePeriod
from services.metering.counters.domain.hours import GRACE_PERIOD, HOUR, Revision
from services.metering.counters.domain.rollup import (
    MAX_ROWS_PER_PERIOD,
    MAX_ROWS_PER_TRANSACTION,
    PeriodRows,
    RollUp,
    RollUpBatch,
)
from services.metering.counters.table.revisions import OpenRevisionTable
from services.metering.counters.table.rows import HourTable, SeenRows
from services.metering.hours.operations import closing
from services.metering.partitions import SLICE
from services.metering.reconciliation import operations as recounting
from services.metering.usage.domain import GroupBy
from shared.deadline import invocation
from shared.storage.store import Store
from shared.storage.table import setting
from shared.storage.transaction import ABSENT
from tests.conflicts import ConflictingDynamoDB
from tests.dynamodb.memory import MemoryDynamoDB
from tests.invocations import FakeLambdaContext
from tests.services.metering.fixtures import (
    AT,
    Usage,
    close_due,
    count,
    counted,
    entry,
    expected,
    repeat_due,
    rows,
    sum_of,
    used,
)
from tests.services.metering.scripted import Scripted

THIS = entry(used()).hour
CLOSES = THIS + HOUR + GRACE_PERIOD
DAYS = Days(date(2026, 11, 1), date(2026, 12, 1))
HOUR_BOUND = MAX_ROWS_PER_SHARD * len(Revision(THIS).shards)


def of_agents(numbers: Iterable[int], *, run: str = "run", **changes: Any) -> list[Usage]:  # noqa: ANN401 — any argument of `used`
    """Return one usage event for each of these agents."""
    return [used(f"{run}_{number}", agent_id=f"agt_{number}", **changes) for number in numbers]


def count_in_batches(store: Store, events: list[Usage], *, seen: SeenRows | None = None) -> None:
    for start in range(0, len(events), 40):
        assert count(store, *events[start : start + 40], seen=seen) == {}


def row_keys(table: MemoryDynamoDB, partition: str) -> list[str]:
    """Return the sort keys of rows by dimension, except `other`."""
    other = dimensions_key(OTHER)
    keys = [str(item["SK"]) for item in table.items(f"TENANT#demo-org#USAGE#{partition}")]
    return [key for key in keys if "DIM#" in key and not key.endswith(other)]


@pytest.fixture(name="table")
def make_table() -> Scripted:
    return Scripted([])


@pytest.fixture(name="store")
def make_store(table: Scripted) -> Store:
    return table.store


class TestRowsOfAnHour:
    @pytest.mark.parametrize("seen", [None, SeenRows()], ids=["a new container each time", "one container"])
    def test_are_bounded_and_further_usage_counts_as_other(
        self, table: Scripted, store: Store, seen: SeenRows | None
    ) -> None:
        events = of_agents(range(HOUR_BOUND + 300))
        count_in_batches(store, events, seen=seen)
        for shard in Revision(THIS).shards:
            assert len(row_keys(table, f"HOUR#2026-11-22T23#{shard}")) == MAX_ROWS_PER_SHARD
        assert counted(store) == expected(events)
        by_agent = {row.group: row.amounts for row in rows(store, group_by=GroupBy.AGENT)}
        assert len(by_agent) == HOUR_BOUND + 1
        assert by_agent["other"].events == 300
        assert sum_of(by_agent.values()) == expected(events)

    def test_that_exist_are_incremented_when_the_shard_is_full(self, store: Store) -> None:
        count_in_batches(store, of_agents(range(HOUR_BOUND + 100)))
        known = {row.group for row in rows(store, group_by=GroupBy.AGENT)} - {"other"}
        again = [used(f"again_{agent}", agent_id=str(agent)) for agent in sorted(map(str, known))[:20]]
        before = {row.group: row.amounts.events for row in rows(store, group_by=GroupBy.AGENT)}
        for event in again:
            count(store, event)
        after = {row.group: row.amounts.events for row in rows(store, group_by=GroupBy.AGENT)}
        # An agent's row exists in the shard that first counted it. In the other shards it would be new.
        assert sum(after.values()) == sum(before.values()) + 20
        assert after.keys() == before.keys()

    def test_are_bounded_with_concurrent_containers(self) -> None:
        client = ConflictingDynamoDB(memory := MemoryDynamoDB(), hold_s=0.0005)
        store = Store(client, table="usage", owned=SLICE)
        events = of_agents(range(HOUR_BOUND + 200))
        parts = [events[start : start + 25] for start in range(0, len(events), 25)]
        with ThreadPoolExecutor(8) as pool:
            counting = [pool.submit(count, store, *part) for part in (*parts, *parts[::4])]
            assert [one.result() for one in counting] == [{}] * len(counting)
        for shard in Revision(THIS).shards:
            assert len(row_keys(memory, f"HOUR#2026-11-22T23#{shard}")) <= MAX_ROWS_PER_SHARD
        assert counted(store, group_by=GroupBy.AGENT) == expected(events)

    def test_in_other_cause_no_drift(self, store: Store) -> None:
        count_in_batches(store, of_agents(range(HOUR_BOUND + 50)))
        assert recounting.recount(store, "demo-org", DAYS).drift == []
        close_due(store, now=CLOSES)
        assert recounting.recount(store, "demo-org", DAYS).drift == []
        assert recounting.compare_months(store, "demo-org", DAYS) == []

    def test_that_are_lost_in_other_are_drift_and_can_be_corrected(self, table: Scripted, store: Store) -> None:
        count_in_batches(store, of_agents(range(HOUR_BOUND + 50)))
        close_due(store, now=CLOSES)
        place = dimensions_key(OTHER)
        [lost] = [item for item in table.items("TENANT#demo-org#USAGE#DAYS") if str(item["SK"]).endswith(place)]
        table.batch_write_item(
            RequestItems={"usage": [{"DeleteRequest": {"Key": {"PK": {"S": lost["PK"]}, "SK": {"S": lost["SK"]}}}}]}
        )
        drift = recounting.recount(store, "demo-org", DAYS).drift
        assert {(one.place, one.subject) for one in drift} == {("day", "other other other other")}
        recounting.correct_days(store, "demo-org", DAYS, sleep=lambda _: None)
        assert recounting.recount(store, "demo-org", DAYS).drift == []

    def test_that_appear_between_two_recounts_are_not_corrected(self, table: Scripted, store: Store) -> None:
        """An event between reading the ledger and reading the counters looks like drift."""
        count_in_batches(store, of_agents(range(3)))
        close_due(store, now=CLOSES)
        place = dimensions_key(OTHER)
        rows_of_days = [item for item in table.items("TENANT#demo-org#USAGE#DAYS") if place not in str(item["SK"])]
        removed = {"PK": {"S": rows_of_days[0]["PK"]}, "SK": {"S": rows_of_days[0]["SK"]}}
        before = counted(store, group_by=GroupBy.AGENT)
        retained = table.get_item(TableName="usage", Key=removed)["Item"]
        table.batch_write_item(RequestItems={"usage": [{"DeleteRequest": {"Key": removed}}]})

        def restore(_: int) -> None:
            table.transact_write_items(TransactItems=[{"Put": {"TableName": "usage", "Item": retained}}])

        assert recounting.correct_days(store, "demo-org", DAYS, sleep=restore) == []
        assert counted(store, group_by=GroupBy.AGENT) == before


class TestRowsOfADay:
    def test_and_of_a_month_are_bounded_and_sums_are_exact(self, table: Scripted, store: Store) -> None:
        early = of_agents(range(700), run="early", at=AT - 2 * HOUR)
        late = of_agents(range(500, 1_200), run="late")
        count_in_batches(store, early)
        count_in_batches(store, late)
        close_due(store, now=CLOSES)
        assert len(row_keys(table, "DAYS")) == len(row_keys(table, "MONTHS")) == MAX_ROWS_PER_PERIOD
        for period in UsagePeriod:
            found = {row.group: row.amounts for row in rows(store, period=period, group_by=GroupBy.AGENT)}
            assert found["other"].events == 200
            assert found["agt_600"].events == 2
            assert sum_of(found.values()) == expected([*early, *late])
        assert recounting.recount(store, "demo-org", DAYS).drift == []
        assert recounting.compare_months(store, "demo-org", DAYS) == []

    def test_of_a_new_day_in_a_full_month_are_its_own(self, store: Store) -> None:
        for part in range(5):  # few enough in each hour to fit into one shard
            agents = range(part * 200, part * 200 + 200)
            count_in_batches(store, of_agents(agents, run="first", at=AT - timedelta(days=1, hours=part)))
        count_in_batches(store, of_agents(range(1_000, 1_100), run="second"))
        close_due(store, now=CLOSES)
        days = rows(store, group_by=GroupBy.AGENT)
        assert [row.amounts.events for row in days if row.start == AT.date() and row.group == "agt_1050"] == [1]
        [month] = [row for row in rows(store, period=UsagePeriod.MONTH, group_by=GroupBy.AGENT) if row.group == "other"]
        assert month.amounts.events == 100
        assert recounting.compare_months(store, "demo-org", DAYS) == []

    @pytest.mark.parametrize("moment", range(3))
    def test_are_bounded_with_concurrent_roll_ups(self, moment: int) -> None:
        """Another hour of the same day is rolled up between a read of its rows and a write of new ones."""
        table = ConcurrentRollUp(moment, Revision(THIS - 2 * HOUR))
        early = of_agents(range(700), run="early", at=AT - 2 * HOUR)
        late = of_agents(range(600, 1_300), run="late")
        count_in_batches(table.store, [*early])
        count_in_batches(table.store, late)
        table.is_armed = True
        assert closing.close(table.store, "demo-org", Revision(THIS), now=CLOSES)
        assert list(OpenRevisionTable(table.store, "demo-org").all()) == []
        assert len(row_keys(table, "DAYS")) == len(row_keys(table, "MONTHS")) == MAX_ROWS_PER_PERIOD
        assert counted(table.store, group_by=GroupBy.AGENT) == expected([*early, *late])
        assert recounting.recount(table.store, "demo-org", DAYS).drift == []


class ConcurrentRollUp(Scripted):
    """A table in which another revision is rolled up before a transaction that adds rows."""

    def __init__(self, moment: int, other: Revision) -> None:
        super().__init__([])
        self.is_armed = False
        self._left, self._other = moment, other

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Run the concurrent roll-up before the chosen transaction."""
        if self.is_armed and "USAGE#DAYS" in str(arguments):
            self._left -= 1
            if self._left < 0:
                self.is_armed = False
                closing.close(self.store, "demo-org", self._other, now=CLOSES)
        return super().transact_write_items(**arguments)


class TestHourWithManyRows:
    def test_is_closed_in_several_sweeps_and_counted_once(self, table: Scripted, store: Store) -> None:
        events = of_agents(range(500))
        count_in_batches(store, events)
        sweeps = 0
        is_closed = False
        while not is_closed:
            with invocation(FakeLambdaContext(0)):
                is_closed = closing.close(store, "demo-org", Revision(THIS), now=CLOSES)
            sweeps += 1
            assert counted(store, group_by=GroupBy.AGENT) == expected(events)
        assert sweeps > 10
        assert counted(store, period=UsagePeriod.MONTH, group_by=GroupBy.AGENT) == expected(events)
        assert [item["type"] for item in table.items("TENANT#demo-org#USAGE#OUTBOX") if "closed" in str(item["type"])]

    def test_does_not_delay_the_hour_of_another_tenant(self, store: Store) -> None:
        count_in_batches(store, of_agents(range(500)))
        count(store, used(tenant_id="other-org", at=AT))
        with invocation(FakeLambdaContext(3)):
            close_due(store, now=CLOSES)
        assert list(OpenRevisionTable(store, "other-org").all()) == []

    def test_is_read_page_by_page(self) -> None:
        table = SmallPages()
        count_in_batches(table.store, of_agents(range(900), model="m" * 250, provider="p" * 250, project_id="j" * 250))
        table.largest = 0
        close_due(table.store, now=CLOSES)
        assert 0 < table.largest <= 100
        assert list(OpenRevisionTable(table.store, "demo-org").all()) == []


class SmallPages(Scripted):
    """A table with small pages that records the largest number of rows in a page."""

    def __init__(self) -> None:
        super().__init__([])
        self.largest = 0

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Return a page of at most 100 items."""
        answer = super().query(**{**arguments, "Limit": min(arguments.get("Limit", 100), 100)})
        if "#HOUR#" in str(arguments["ExpressionAttributeValues"]):
            self.largest = max(self.largest, len(answer["Items"]))
        return answer


class TestDueWork:
    def test_of_a_failing_tenant_is_quarantined_without_delaying_others(
        self, table: Scripted, store: Store, log_lines: Callable[[], list[dict[str, Any]]]
    ) -> None:
        count(store, used(), used(tenant_id="other-org"))
        broken = {"PK": "TENANT#demo-org#USAGE#BROKEN", "SK": "no hour", "due_pk": "DUE#USAGE#OPEN", "due_sk": "2026"}
        item = {name: {"S": value} for name, value in broken.items()}
        table.transact_write_items(TransactItems=[{"Put": {"TableName": "usage", "Item": item}}])
        assert close_due(store, now=CLOSES) == 2
        for minute in range(1, 60):
            close_due(store, now=CLOSES + timedelta(minutes=minute))
        [quarantined] = list(table.items("TENANT#demo-org#USAGE#QUARANTINE"))
        assert quarantined["entry_sk"] == "no hour"
        assert {line["tenant_id"] for line in log_lines() if line["message"] == "sweep entry failed"} == {"demo-org"}

    def test_of_other_kinds_is_left_alone(self, store: Store) -> None:
        count(store, used())
        assert repeat_due(store, now=CLOSES) == 1
        assert close_due(store, now=CLOSES) == 1


amounts = st.builds(Amounts, st.integers(1, 5))
names = st.integers(0, 60).map(lambda number: Dimensions(agent_id=f"agt_{number}"))


class TestRollUp:
    def test_keeps_a_row_that_corrections_have_emptied(self, table: Scripted, store: Store) -> None:
        count(store, used(agent_id="agt_1"))
        hours = HourTable(store, "demo-org")
        empty = hours.key(HourCounter(Revision(THIS), 0, Dimensions()))
        store.update(empty, setting({"ttl": 1}), when=ABSENT)
        close_due(store, now=CLOSES)
        # The total counts this row, so the next roll-up must find it.
        assert len(row_keys(table, "DAYS")) == 2
        [total] = [item for item in table.items("TENANT#demo-org#USAGE#DAYS") if str(item["SK"]).startswith("TOTAL")]
        assert total["rows"] == 2

    @given(
        st.lists(st.dictionaries(names, amounts, max_size=40), max_size=4),
        st.integers(0, 30),
        st.integers(0, 30),
    )
    def test_preserves_sums_and_limits(
        self, hours: list[dict[Dimensions, Amounts]], day_room: int, month_room: int
    ) -> None:
        taken = [f"taken_{number}" for number in range(MAX_ROWS_PER_PERIOD)]
        roll_up = RollUp(
            day=PeriodRows(set(taken[: MAX_ROWS_PER_PERIOD - day_room])),
            month=PeriodRows(set(taken[: MAX_ROWS_PER_PERIOD - month_room])),
        )
        batches: list[RollUpBatch] = []
        for hour in hours:
            batches += roll_up.batches((str(one.agent_id), one, amount) for one, amount in hour.items())
        total = sum_of(amount for hour in hours for amount in hour.values())
        assert sum_of(amount for batch in batches for amount in batch.day.amounts.values()) == total
        assert sum_of(amount for batch in batches for amount in batch.month.amounts.values()) == total
        assert len(roll_up.day.names) <= MAX_ROWS_PER_PERIOD
        assert len(roll_up.month.names) <= MAX_ROWS_PER_PERIOD
        for batch in batches:
            assert len(batch.day.amounts) + len(batch.month.amounts) <= MAX_ROWS_PER_TRANSACTION

    def test_other_in_the_day_is_other_in_the_month(self) -> None:
        full = PeriodRows({f"taken_{number}" for number in range(MAX_ROWS_PER_PERIOD)})
        one = Dimensions(agent_id="agt_1")
        [batch] = RollUp(full, PeriodRows({"agt_1"})).batches([("agt_1", one, Amounts(1))])
        assert set(batch.day.amounts) == set(batch.month.amounts) == {OTHER}
