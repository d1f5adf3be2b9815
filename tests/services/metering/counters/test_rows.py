"""A bounded number of rows by dimensions in each hour, day and month, and exact sums whatever is in `other`."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.metering.domain.counting import MAX_ROWS_PER_SHARD
from services.metering.domain.hours import GRACE, HOUR, Revision
from services.metering.domain.periods import Days, GroupBy, Period
from services.metering.domain.rollup import MAX_ROWS_PER_PERIOD, ROWS_AT_ONCE, Batch, PeriodRows, RollUp
from services.metering.domain.usage import OTHER, Amounts, Dimensions
from services.metering.operations import closing, recounting
from services.metering.table import SLICE, counters
from services.metering.table.amounts import place_of_dimensions
from services.metering.table.rows import SeenRows
from shared.deadline import invocation
from shared.storage.store import Store
from tests.conflicts import ConflictingDynamoDB
from tests.dynamodb.memory import MemoryDynamoDB
from tests.invocations import Remaining
from tests.services.metering.scripted import Scripted
from tests.services.metering.usage import (
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

THIS = entry(used()).hour
CLOSES = THIS + HOUR + GRACE
DAYS = Days(date(2026, 11, 1), date(2026, 12, 1))
HOUR_BOUND = MAX_ROWS_PER_SHARD * len(Revision(THIS).shards)


def of_agents(numbers: Iterable[int], *, run: str = "run", **changes: Any) -> list[Usage]:  # noqa: ANN401 — any argument of `used`
    """Usage of these agents, one event each."""
    return [used(f"{run}_{number}", agent_id=f"agt_{number}", **changes) for number in numbers]


def count_in_batches(store: Store, events: list[Usage], *, seen: SeenRows | None = None) -> None:
    for start in range(0, len(events), 40):
        assert count(store, *events[start : start + 40], seen=seen) == {}


def row_keys(table: MemoryDynamoDB, partition: str) -> list[str]:
    """The sort keys of rows by dimensions, without those of `other`."""
    other = place_of_dimensions(OTHER)
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
    def test_are_bounded_and_the_rest_is_counted_as_other(
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

    def test_that_exist_take_more_when_no_new_one_can(self, store: Store) -> None:
        count_in_batches(store, of_agents(range(HOUR_BOUND + 100)))
        known = {row.group for row in rows(store, group_by=GroupBy.AGENT)} - {"other"}
        again = [used(f"again_{agent}", agent_id=str(agent)) for agent in sorted(map(str, known))[:20]]
        before = {row.group: row.amounts.events for row in rows(store, group_by=GroupBy.AGENT)}
        for event in again:
            count(store, event)
        after = {row.group: row.amounts.events for row in rows(store, group_by=GroupBy.AGENT)}
        # An agent's row is in the shard that first counted it; in the others it is new, and so in `other`.
        assert sum(after.values()) == sum(before.values()) + 20
        assert after.keys() == before.keys()

    def test_of_containers_that_count_at_once_are_bounded_too(self) -> None:
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

    def test_in_other_are_no_drift(self, store: Store) -> None:
        count_in_batches(store, of_agents(range(HOUR_BOUND + 50)))
        assert recounting.recount(store, "demo-org", DAYS).drift == []
        close_due(store, now=CLOSES)
        assert recounting.recount(store, "demo-org", DAYS).drift == []
        assert recounting.months(store, "demo-org", DAYS) == []

    def test_in_other_that_are_lost_are_drift_and_can_be_corrected(self, table: Scripted, store: Store) -> None:
        count_in_batches(store, of_agents(range(HOUR_BOUND + 50)))
        close_due(store, now=CLOSES)
        place = place_of_dimensions(OTHER)
        [lost] = [item for item in table.items("TENANT#demo-org#USAGE#DAYS") if str(item["SK"]).endswith(place)]
        table.batch_write_item(
            RequestItems={"usage": [{"DeleteRequest": {"Key": {"PK": {"S": lost["PK"]}, "SK": {"S": lost["SK"]}}}}]}
        )
        drift = recounting.recount(store, "demo-org", DAYS).drift
        assert {(one.place, one.subject) for one in drift} == {("day", "other other other other")}
        recounting.correct_days(store, "demo-org", DAYS)
        assert recounting.recount(store, "demo-org", DAYS).drift == []


class TestRowsOfADay:
    def test_and_month_are_bounded_and_the_sums_exact(self, table: Scripted, store: Store) -> None:
        early = of_agents(range(700), run="early", at=AT - 2 * HOUR)
        late = of_agents(range(500, 1_200), run="late")
        count_in_batches(store, early)
        count_in_batches(store, late)
        close_due(store, now=CLOSES)
        assert len(row_keys(table, "DAYS")) == len(row_keys(table, "MONTHS")) == MAX_ROWS_PER_PERIOD
        for period in Period:
            found = {row.group: row.amounts for row in rows(store, period=period, group_by=GroupBy.AGENT)}
            assert found["other"].events == 200
            assert found["agt_600"].events == 2
            assert sum_of(found.values()) == expected([*early, *late])
        assert recounting.recount(store, "demo-org", DAYS).drift == []
        assert recounting.months(store, "demo-org", DAYS) == []

    def test_of_a_full_month_a_new_day_has_its_own(self, store: Store) -> None:
        for part in range(5):  # few enough in each hour to fit into one shard
            agents = range(part * 200, part * 200 + 200)
            count_in_batches(store, of_agents(agents, run="first", at=AT - timedelta(days=1, hours=part)))
        count_in_batches(store, of_agents(range(1_000, 1_100), run="second"))
        close_due(store, now=CLOSES)
        days = rows(store, group_by=GroupBy.AGENT)
        assert [row.amounts.events for row in days if row.start == AT.date() and row.group == "agt_1050"] == [1]
        [month] = [row for row in rows(store, period=Period.MONTH, group_by=GroupBy.AGENT) if row.group == "other"]
        assert month.amounts.events == 100
        assert recounting.months(store, "demo-org", DAYS) == []

    @pytest.mark.parametrize("moment", range(3))
    def test_are_bounded_when_two_hours_are_rolled_up_at_once(self, moment: int) -> None:
        """Another hour of the same day is rolled up between a read of its rows and a write of new ones."""
        table = Overtaken(moment, Revision(THIS - 2 * HOUR))
        early = of_agents(range(700), run="early", at=AT - 2 * HOUR)
        late = of_agents(range(600, 1_300), run="late")
        count_in_batches(table.store, [*early])
        count_in_batches(table.store, late)
        table.is_armed = True
        assert closing.close(table.store, "demo-org", Revision(THIS), now=CLOSES)
        assert counters.list_opened(table.store, "demo-org") == []
        assert len(row_keys(table, "DAYS")) == len(row_keys(table, "MONTHS")) == MAX_ROWS_PER_PERIOD
        assert counted(table.store, group_by=GroupBy.AGENT) == expected([*early, *late])
        assert recounting.recount(table.store, "demo-org", DAYS).drift == []


class Overtaken(Scripted):
    """A table in which another revision is rolled up before one of the transactions that add rows."""

    def __init__(self, moment: int, other: Revision) -> None:
        super().__init__([])
        self.is_armed = False
        self._left, self._other = moment, other

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """As ever, but for that moment."""
        if self.is_armed and "USAGE#DAYS" in str(arguments):
            self._left -= 1
            if self._left < 0:
                self.is_armed = False
                closing.close(self.store, "demo-org", self._other, now=CLOSES)
        return super().transact_write_items(**arguments)


class TestAnHourWithManyRows:
    def test_is_closed_in_several_sweeps_and_nothing_is_added_twice(self, table: Scripted, store: Store) -> None:
        events = of_agents(range(500))
        count_in_batches(store, events)
        sweeps = 0
        is_closed = False
        while not is_closed:
            with invocation(Remaining(0)):
                is_closed = closing.close(store, "demo-org", Revision(THIS), now=CLOSES)
            sweeps += 1
            assert counted(store, group_by=GroupBy.AGENT) == expected(events)
        assert sweeps > 10
        assert counted(store, period=Period.MONTH, group_by=GroupBy.AGENT) == expected(events)
        assert [item["type"] for item in table.items("TENANT#demo-org#USAGE#OUTBOX") if "closed" in str(item["type"])]

    def test_does_not_delay_the_hour_of_another_tenant(self, store: Store) -> None:
        count_in_batches(store, of_agents(range(500)))
        count(store, used(tenant_id="other-org", at=AT))
        with invocation(Remaining(3)):
            close_due(store, now=CLOSES)
        assert counters.list_opened(store, "other-org") == []

    def test_is_read_a_page_at_a_time(self) -> None:
        table = Paged()
        count_in_batches(table.store, of_agents(range(900), model="m" * 250, provider="p" * 250, project_id="j" * 250))
        table.largest = 0
        close_due(table.store, now=CLOSES)
        assert 0 < table.largest <= 100
        assert counters.list_opened(table.store, "demo-org") == []


class Paged(Scripted):
    """A table with small pages, which knows how many rows of an hour the largest had."""

    def __init__(self) -> None:
        super().__init__([])
        self.largest = 0

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """A page of at most 100 items."""
        answer = super().query(**{**arguments, "Limit": min(arguments.get("Limit", 100), 100)})
        if "#HOUR#" in str(arguments["ExpressionAttributeValues"]):
            self.largest = max(self.largest, len(answer["Items"]))
        return answer


class TestDueWork:
    def test_of_a_poison_tenant_is_quarantined_and_the_others_go_on(
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

    def test_of_one_kind_is_left_to_its_own_sweep(self, store: Store) -> None:
        count(store, used())
        assert repeat_due(store, now=CLOSES) == 1
        assert close_due(store, now=CLOSES) == 1


amounts = st.builds(Amounts, st.integers(1, 5))
names = st.integers(0, 60).map(lambda number: Dimensions(agent_id=f"agt_{number}"))


class TestRollUp:
    @given(
        st.lists(st.dictionaries(names, amounts, max_size=40), max_size=4),
        st.integers(0, 30),
        st.integers(0, 30),
    )
    def test_keeps_every_sum_and_every_bound(
        self, hours: list[dict[Dimensions, Amounts]], day_room: int, month_room: int
    ) -> None:
        taken = [f"taken_{number}" for number in range(MAX_ROWS_PER_PERIOD)]
        roll_up = RollUp(
            day=PeriodRows(set(taken[: MAX_ROWS_PER_PERIOD - day_room])),
            month=PeriodRows(set(taken[: MAX_ROWS_PER_PERIOD - month_room])),
        )
        batches: list[Batch] = []
        for hour in hours:
            batches += roll_up.batches((str(one.agent_id), one, amount) for one, amount in hour.items())
        total = sum_of(amount for hour in hours for amount in hour.values())
        assert sum_of(amount for batch in batches for amount in batch.day.amounts.values()) == total
        assert sum_of(amount for batch in batches for amount in batch.month.amounts.values()) == total
        assert len(roll_up.day.names) <= MAX_ROWS_PER_PERIOD
        assert len(roll_up.month.names) <= MAX_ROWS_PER_PERIOD
        for batch in batches:
            assert len(batch.day.amounts) + len(batch.month.amounts) <= ROWS_AT_ONCE

    def test_what_is_other_in_the_day_is_so_in_the_month(self) -> None:
        full = PeriodRows({f"taken_{number}" for number in range(MAX_ROWS_PER_PERIOD)})
        one = Dimensions(agent_id="agt_1")
        [batch] = RollUp(full, PeriodRows({"agt_1"})).batches([("agt_1", one, Amounts(1))])
        assert set(batch.day.amounts) == set(batch.month.amounts) == {OTHER}
