"""Closing hours: final numbers, whatever comes late or breaks off."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from services.metering.domain.hours import GRACE, HOUR, Revision
from services.metering.domain.periods import GroupBy, Period
from services.metering.domain.usage import Amounts
from services.metering.operations import closing
from services.metering.table import counters
from shared.meters import Meter
from shared.storage.due import FIRST_DELAY
from shared.storage.store import Store
from tests.dynamodb.memory import MemoryDynamoDB
from tests.services.metering.scripted import FINE, LOST_ANSWER, LOST_REQUEST, Scripted
from tests.services.metering.usage import AT, close_due, count, counted, entry, expected, rows, used

THIS = entry(used()).hour
CLOSES = THIS + HOUR + GRACE
A_MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def table() -> Scripted:
    """An empty table that can be told to fail."""
    return Scripted([])


@pytest.fixture
def store(table: Scripted) -> Store:
    """The slice in it."""
    return table.store


def said(table: MemoryDynamoDB) -> Iterator[dict[str, Any]]:
    """What waits to be published of hours and corrections."""
    for item in table.items("TENANT#demo-org#USAGE#OUTBOX"):
        if item["type"] != "usage.summarised.v1":
            yield item


def types(table: MemoryDynamoDB) -> list[str]:
    """Their types, sorted."""
    return sorted(str(item["type"]) for item in said(table))


def many(number: int) -> list[Any]:
    """Usage of so many different agents in one hour."""
    return [used(f"run_{n}", agent_id=f"agt_{n}") for n in range(number)]


class TestCloseDue:
    def test_closes_ten_minutes_after_the_hour_and_not_before(self, store: Store) -> None:
        count(store, used())
        assert close_due(store, now=CLOSES - A_MOMENT) == 0
        assert close_due(store, now=CLOSES) == 1
        assert close_due(store, now=CLOSES) == 0
        assert counters.list_opened(store, "demo-org") == []

    def test_closes_the_hours_of_all_tenants(self, store: Store) -> None:
        count(store, used(), used(tenant_id="demo-org2"), used("run_2", at=AT + HOUR), now=AT)
        assert close_due(store, now=CLOSES) == 2

    def test_an_empty_slice_has_nothing_due(self, store: Store) -> None:
        assert close_due(store, now=CLOSES) == 0

    def test_one_that_fails_stays_due_and_does_not_hold_up_the_others(self, table: Scripted, store: Store) -> None:
        count(store, used(), used(tenant_id="demo-org2"))
        table.next_faults([LOST_REQUEST])
        assert close_due(store, now=CLOSES) == 1
        assert close_due(store, now=CLOSES + FIRST_DELAY) == 1


class TestClose:
    def test_says_the_sum_of_the_hour(self, table: Scripted, store: Store) -> None:
        facts = many(100)
        count(store, *facts)
        close_due(store, now=CLOSES)
        [event] = said(table)
        assert event["type"] == "usage.hour_closed.v1"
        assert '"hour":"2026-11-22T23:00:00Z"' in event["event"]
        assert f'"tokens_out":{30 * 100}' in event["event"]
        assert '"events":100' in event["event"]

    def test_changes_no_sum(self, store: Store) -> None:
        facts = many(100)
        count(store, *facts)
        before = {group: rows(store, group_by=group) for group in (None, *GroupBy)}
        months = {group: rows(store, group_by=group, period=Period.MONTH) for group in (None, *GroupBy)}
        close_due(store, now=CLOSES)
        assert {group: rows(store, group_by=group) for group in before} == before
        assert {group: rows(store, group_by=group, period=Period.MONTH) for group in months} == months
        assert counted(store) == expected(facts)

    def test_takes_no_more_usage_on_any_shard(self, table: Scripted, store: Store) -> None:
        count(store, used())
        close_due(store, now=CLOSES)
        totals = [item for item in table.items("TENANT#demo-org#USAGE#HOUR#") if str(item["SK"]) == "0000#TOTAL"]
        assert len(totals) == len(Revision(THIS).shards)
        assert all(item["closed"] for item in totals)

    @pytest.mark.parametrize("fault", [LOST_ANSWER, LOST_REQUEST])
    @pytest.mark.parametrize("after", range(5))
    def test_is_taken_up_where_it_broke_off(self, table: Scripted, store: Store, fault: str, after: int) -> None:
        facts = many(100)  # rows for three transactions
        count(store, *facts)
        table.next_faults([FINE] * after + [fault])
        for now in (CLOSES, CLOSES + FIRST_DELAY):
            close_due(store, now=now)
            for group in (None, GroupBy.AGENT):
                assert counted(store, group_by=group) == expected(facts)
        assert counters.list_opened(store, "demo-org") == []
        assert types(table) == ["usage.hour_closed.v1"]
        assert counted(store, period=Period.MONTH, group_by=GroupBy.AGENT) == expected(facts)

    @pytest.mark.parametrize("done", range(5))
    @pytest.mark.parametrize("moment", range(4))
    def test_twice_at_once_rolls_up_once(self, moment: int, done: int) -> None:
        """Another closer does some of the work, or all, before one of the transactions of this one."""
        facts = many(100)  # rows for three transactions, after the one that closes
        table = Overtaken(moment, done=done)
        count(table.store, *facts)
        table.is_armed = True
        closing.close(table.store, "demo-org", Revision(THIS), now=CLOSES)
        close_due(table.store, now=CLOSES)
        for period in Period:
            assert counted(table.store, period=period) == expected(facts)
            assert counted(table.store, period=period, group_by=GroupBy.AGENT) == expected(facts)
        assert types(table) == ["usage.hour_closed.v1"]


class Overtaken(Scripted):
    """A table in which another closer does its work before this transaction."""

    def __init__(self, moment: int, *, done: int) -> None:
        super().__init__([])
        self.is_armed = False
        self._left = moment
        self._carried_out = done

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """As ever, but for that moment."""
        if self.is_armed:
            self._left -= 1
            if self._left < 0:
                self.is_armed = False
                self.next_faults([FINE] * self._carried_out + [LOST_REQUEST])
                close_due(self.store, now=CLOSES)
                self.next_faults([])
        return super().transact_write_items(**arguments)


class TestCorrections:
    def test_say_the_difference_ten_minutes_after_the_first_late_event(self, table: Scripted, store: Store) -> None:
        count(store, used("run_1"))
        close_due(store, now=CLOSES)
        late = CLOSES + timedelta(days=3)
        count(store, used("run_2"), used("run_3"), now=late)
        assert close_due(store, now=late + GRACE - A_MOMENT) == 0
        count(store, used("run_4"), now=late + GRACE - A_MOMENT)
        assert close_due(store, now=late + GRACE) == 1
        assert types(table) == ["usage.corrected.v1", "usage.hour_closed.v1"]
        [correction] = [str(event["event"]) for event in said(table) if event["type"] == "usage.corrected.v1"]
        assert '"rev":1' in correction
        assert '"seq":2' in correction
        assert '"events":3' in correction

    def test_are_numbered(self, table: Scripted, store: Store) -> None:
        now = CLOSES
        for number in range(4):
            count(store, used(f"run_{number}"), now=now)
            now += GRACE
            close_due(store, now=now)
        ids = sorted(str(item["SK"]) for item in said(table))
        hour = "OUTBOX#demo-org:2026-11-22T23"
        assert ids == [f"{hour}:closed", *(f"{hour}:corrected:{number}" for number in (1, 2, 3))]
        assert counted(store).events == 4

    def test_a_duplicate_that_comes_late_is_none(self, store: Store) -> None:
        count(store, used())
        close_due(store, now=CLOSES)
        count(store, used(), now=CLOSES)
        assert counters.list_opened(store, "demo-org") == []

    def test_of_an_hour_that_had_no_usage_is_that_hour(self, table: Scripted, store: Store) -> None:
        count(store, used(), now=AT + timedelta(days=20))
        assert close_due(store, now=AT + timedelta(days=20)) == 1
        assert types(table) == ["usage.hour_closed.v1"]

    def test_nothing_is_said_of_a_revision_that_was_opened_and_not_used(self, table: Scripted, store: Store) -> None:
        counters.open_revision(store, "demo-org", Revision(THIS), now=AT)
        close_due(store, now=CLOSES)
        assert types(table) == []
        assert rows(store) == []

    def test_negative_amounts_add_up(self, store: Store) -> None:
        count(store, used(meters={Meter.COMPUTE_MS: 10}))
        close_due(store, now=CLOSES)
        count(store, used("run_2", meters={Meter.COMPUTE_MS: -10}), now=CLOSES)
        close_due(store, now=CLOSES + GRACE)
        assert counted(store) == Amounts(2, 0, 1400)
