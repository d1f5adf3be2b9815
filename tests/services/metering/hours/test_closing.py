"""Tests of closing hours and of corrections."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from services.metering.counters.domain.amounts import Amounts
from services.metering.counters.domain.days import UsagePeriod
from services.metering.counters.domain.hours import GRACE_PERIOD, HOUR, Revision
from services.metering.counters.table.revisions import OpenRevisionTable
from services.metering.hours.operations import closing
from services.metering.usage.domain import GroupBy
from shared.meters import Meter
from shared.storage.quarantine import FIRST_DELAY
from shared.storage.store import Store
from tests.dynamodb.memory import MemoryDynamoDB
from tests.services.metering.fixtures import AT, close_due, count, counted, entry, expected, rows, used
from tests.services.metering.scripted import FINE, LOST_REQUEST, LOST_RESPONSE, Scripted

THIS = entry(used()).hour
CLOSES = THIS + HOUR + GRACE_PERIOD
A_MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def table() -> Scripted:
    """Return an empty table that can fail."""
    return Scripted([])


@pytest.fixture
def store(table: Scripted) -> Store:
    """Return the slice in the table."""
    return table.store


def payload(table: MemoryDynamoDB) -> Iterator[dict[str, Any]]:
    """Yield the events of hours and corrections in the outbox."""
    for item in table.items("TENANT#demo-org#USAGE#OUTBOX"):
        if item["type"] != "usage.summarised.v1":
            yield item


def types(table: MemoryDynamoDB) -> list[str]:
    """Return the sorted types of these events."""
    return sorted(str(item["type"]) for item in payload(table))


def many(number: int) -> list[Any]:
    """Return usage of this number of agents in one hour."""
    return [used(f"run_{n}", agent_id=f"agt_{n}") for n in range(number)]


class TestCloseDue:
    def test_closes_an_hour_ten_minutes_after_its_end(self, store: Store) -> None:
        count(store, used())
        assert close_due(store, now=CLOSES - A_MOMENT) == 0
        assert close_due(store, now=CLOSES) == 1
        assert close_due(store, now=CLOSES) == 0
        assert list(OpenRevisionTable(store, "demo-org").all()) == []

    def test_closes_the_hours_of_all_tenants(self, store: Store) -> None:
        count(store, used(), used(tenant_id="demo-org2"), used("run_2", at=AT + HOUR), now=AT)
        assert close_due(store, now=CLOSES) == 2

    def test_does_nothing_in_an_empty_slice(self, store: Store) -> None:
        assert close_due(store, now=CLOSES) == 0

    def test_a_failing_hour_stays_due_without_delaying_others(self, table: Scripted, store: Store) -> None:
        count(store, used(), used(tenant_id="demo-org2"))
        table.next_faults([LOST_REQUEST])
        assert close_due(store, now=CLOSES) == 1
        assert close_due(store, now=CLOSES + FIRST_DELAY) == 1


class TestClose:
    def test_publishes_the_sum_of_the_hour(self, table: Scripted, store: Store) -> None:
        facts = many(100)
        count(store, *facts)
        close_due(store, now=CLOSES)
        [event] = payload(table)
        assert event["type"] == "usage.hour_closed.v1"
        assert '"hour":"2026-11-22T23:00:00Z"' in event["event"]
        assert f'"tokens_out":{30 * 100}' in event["event"]
        assert '"events":100' in event["event"]

    def test_preserves_all_sums(self, store: Store) -> None:
        facts = many(100)
        count(store, *facts)
        before = {group: rows(store, group_by=group) for group in (None, *GroupBy)}
        months = {group: rows(store, group_by=group, period=UsagePeriod.MONTH) for group in (None, *GroupBy)}
        close_due(store, now=CLOSES)
        assert {group: rows(store, group_by=group) for group in before} == before
        assert {group: rows(store, group_by=group, period=UsagePeriod.MONTH) for group in months} == months
        assert counted(store) == expected(facts)

    def test_closes_all_shards(self, table: Scripted, store: Store) -> None:
        count(store, used())
        close_due(store, now=CLOSES)
        totals = [item for item in table.items("TENANT#demo-org#USAGE#HOUR#") if str(item["SK"]) == "0000#TOTAL"]
        assert len(totals) == len(Revision(THIS).shards)
        assert all(item["closed"] for item in totals)

    @pytest.mark.parametrize("fault", [LOST_RESPONSE, LOST_REQUEST])
    @pytest.mark.parametrize("after", range(5))
    def test_resumes_after_an_interruption(self, table: Scripted, store: Store, fault: str, after: int) -> None:
        facts = many(100)  # rows for three transactions
        count(store, *facts)
        table.next_faults([FINE] * after + [fault])
        for now in (CLOSES, CLOSES + FIRST_DELAY):
            close_due(store, now=now)
            for group in (None, GroupBy.AGENT):
                assert counted(store, group_by=group) == expected(facts)
        assert list(OpenRevisionTable(store, "demo-org").all()) == []
        assert types(table) == ["usage.hour_closed.v1"]
        assert counted(store, period=UsagePeriod.MONTH, group_by=GroupBy.AGENT) == expected(facts)

    @pytest.mark.parametrize("done", range(5))
    @pytest.mark.parametrize("moment", range(4))
    def test_concurrent_closers_roll_up_once(self, moment: int, done: int) -> None:
        """Another closer does some or all of the work before one of the transactions."""
        facts = many(100)  # rows for three transactions, after the one that closes
        table = ConcurrentCloser(moment, done=done)
        count(table.store, *facts)
        table.is_armed = True
        closing.close(table.store, "demo-org", Revision(THIS), now=CLOSES)
        close_due(table.store, now=CLOSES)
        for period in UsagePeriod:
            assert counted(table.store, period=period) == expected(facts)
            assert counted(table.store, period=period, group_by=GroupBy.AGENT) == expected(facts)
        assert types(table) == ["usage.hour_closed.v1"]


class ConcurrentCloser(Scripted):
    """A table in which another closer runs before one transaction."""

    def __init__(self, moment: int, *, done: int) -> None:
        super().__init__([])
        self.is_armed = False
        self._left = moment
        self._carried_out = done

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Run the concurrent roll-up before the chosen transaction."""
        if self.is_armed:
            self._left -= 1
            if self._left < 0:
                self.is_armed = False
                self.next_faults([FINE] * self._carried_out + [LOST_REQUEST])
                close_due(self.store, now=CLOSES)
                self.next_faults([])
        return super().transact_write_items(**arguments)


class TestCorrections:
    def test_are_published_ten_minutes_after_the_first_late_event(self, table: Scripted, store: Store) -> None:
        count(store, used("run_1"))
        close_due(store, now=CLOSES)
        late = CLOSES + timedelta(days=3)
        count(store, used("run_2"), used("run_3"), now=late)
        assert close_due(store, now=late + GRACE_PERIOD - A_MOMENT) == 0
        count(store, used("run_4"), now=late + GRACE_PERIOD - A_MOMENT)
        assert close_due(store, now=late + GRACE_PERIOD) == 1
        assert types(table) == ["usage.corrected.v1", "usage.hour_closed.v1"]
        [correction] = [str(event["event"]) for event in payload(table) if event["type"] == "usage.corrected.v1"]
        assert '"rev":1' in correction
        assert '"seq":2' in correction
        assert '"events":3' in correction

    def test_are_numbered(self, table: Scripted, store: Store) -> None:
        now = CLOSES
        for number in range(4):
            count(store, used(f"run_{number}"), now=now)
            now += GRACE_PERIOD
            close_due(store, now=now)
        ids = sorted(str(item["SK"]) for item in payload(table))
        hour = "OUTBOX#demo-org:2026-11-22T23"
        assert ids == [f"{hour}:closed", *(f"{hour}:corrected:{number}" for number in (1, 2, 3))]
        assert counted(store).events == 4

    def test_a_late_duplicate_opens_no_correction(self, store: Store) -> None:
        count(store, used())
        close_due(store, now=CLOSES)
        count(store, used(), now=CLOSES)
        assert list(OpenRevisionTable(store, "demo-org").all()) == []

    def test_late_usage_of_an_empty_hour_is_no_correction(self, table: Scripted, store: Store) -> None:
        count(store, used(), now=AT + timedelta(days=20))
        assert close_due(store, now=AT + timedelta(days=20)) == 1
        assert types(table) == ["usage.hour_closed.v1"]

    def test_an_unused_revision_publishes_nothing(self, table: Scripted, store: Store) -> None:
        OpenRevisionTable(store, "demo-org").open(Revision(THIS), now=AT)
        close_due(store, now=CLOSES)
        assert types(table) == []
        assert rows(store) == []

    def test_sum_negative_amounts(self, store: Store) -> None:
        count(store, used(meters={Meter.COMPUTE_MS: 10}))
        close_due(store, now=CLOSES)
        count(store, used("run_2", meters={Meter.COMPUTE_MS: -10}), now=CLOSES)
        close_due(store, now=CLOSES + GRACE_PERIOD)
        assert counted(store) == Amounts(2, 0, 1400)
