"""Storage integrated over time, in whatever order the changes come."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metering.domain.hours import HOUR
from services.metering.domain.storage import SAMPLED_AFTER, Change
from services.metering.operations import storing
from services.metering.operations.upkeep import Kind
from services.metering.table import storage
from shared.errors import DependencyUnavailable
from shared.meters import Meter
from shared.storage.due import FIRST_DELAY, DueQueue
from shared.storage.inbox import Delivery
from shared.storage.store import Store
from tests.services.metering.scripted import FINE, LOST_ANSWER, LOST_REQUEST, Scripted
from tests.services.metering.usage import close_due, counted, sample_due

START = datetime(2026, 11, 22, 20, tzinfo=UTC)
GB = 10**9


def change(store: Store, event_id: str, size: int, *, at: datetime, now: datetime | None = None) -> None:
    """Let this be heard."""
    heard = now or at
    delivery = Delivery("metering.consumer", event_id, heard)
    storing.change_storage(store, "demo-org", {delivery: Change(event_id, at, size)}, now=heard)


def pass_hours(store: Store, number: int, *, since: datetime = START) -> None:
    """Let the closer do its work after each of these hours."""
    for hour in range(1, number + 1):
        now = since + hour * HOUR + SAMPLED_AFTER
        sample_due(store, now=now)
        close_due(store, now=now)


def byte_hours(store: Store) -> int:
    """What all counters say."""
    return counted(store).meters.get(Meter.STORAGE_BYTE_HOURS, 0)


@pytest.fixture
def store() -> Store:
    """An empty slice."""
    return Scripted([]).store


class TestSample:
    def test_counts_what_lies_there_for_each_hour_from_the_moment_it_was_stored(self, store: Store) -> None:
        change(store, "a", GB, at=START + HOUR / 2)
        pass_hours(store, 3)
        assert byte_hours(store) == GB // 2 + 2 * GB

    def test_stops_with_the_moment_it_was_deleted(self, store: Store) -> None:
        change(store, "a", GB, at=START)
        pass_hours(store, 1)
        change(store, "b", -GB, at=START + HOUR + HOUR / 4)
        pass_hours(store, 5)
        assert byte_hours(store) == GB + GB // 4
        assert list(DueQueue(store, Kind.STORAGE).entries(now=START + 100 * HOUR)) == []

    def test_catches_up_with_hours_that_it_missed(self, store: Store) -> None:
        change(store, "a", GB, at=START)
        sample_due(store, now=START + 7 * HOUR + SAMPLED_AFTER)
        assert byte_hours(store) == 7 * GB

    def test_an_hour_waits_for_what_is_on_its_way(self, store: Store) -> None:
        change(store, "a", GB, at=START)
        assert sample_due(store, now=START + HOUR + SAMPLED_AFTER - timedelta(milliseconds=1)) == 0

    @pytest.mark.parametrize("fault", [LOST_ANSWER, LOST_REQUEST])
    @pytest.mark.parametrize("after", range(6))
    def test_is_taken_up_where_it_broke_off(self, fault: str, after: int) -> None:
        table = Scripted([])
        change(table.store, "a", GB, at=START)
        table.next_faults([FINE] * after + [fault])
        for delay in (timedelta(), FIRST_DELAY):
            sample_due(table.store, now=START + 2 * HOUR + SAMPLED_AFTER + delay)
        assert byte_hours(table.store) == 2 * GB


class TestChangeStorage:
    def test_is_done_once(self, store: Store) -> None:
        for _ in range(3):
            change(store, "a", GB, at=START)
        pass_hours(store, 1)
        change(store, "a", GB, at=START, now=START + 2 * HOUR)
        assert storage.read(store, "demo-org").bytes_now == GB
        assert byte_hours(store) == GB

    def test_of_many_at_once_is_the_same_as_of_one_after_the_other(self, store: Store) -> None:
        changes = [Change(f"c{number}", START + number * HOUR / 4, GB * (-1) ** number * number) for number in range(9)]
        now = START + 5 * HOUR
        change(store, "first", 10 * GB, at=START)
        pass_hours(store, 2)
        one_by_one = Scripted([]).store
        change(one_by_one, "first", 10 * GB, at=START)
        pass_hours(one_by_one, 2)
        for one in changes:
            change(one_by_one, one.event_id, one.bytes, at=one.at, now=now)
        for _ in range(2):
            deliveries = {Delivery("metering.consumer", one.event_id, now): one for one in changes}
            storing.change_storage(store, "demo-org", deliveries, now=now)
        for each in (store, one_by_one):
            pass_hours(each, 6)
        assert byte_hours(store) == byte_hours(one_by_one)
        assert storage.read(store, "demo-org").bytes_now == storage.read(one_by_one, "demo-org").bytes_now

    def test_of_one_that_another_has_applied_meanwhile_is_done_once(self) -> None:
        table = Meanwhile()
        changes = {Delivery("metering.consumer", name, START): Change(name, START, GB) for name in ("a", "b")}
        table.before_next_write = lambda: change(table.store, "a", GB, at=START)
        storing.change_storage(table.store, "demo-org", changes, now=START)
        assert storage.read(table.store, "demo-org").bytes_now == 2 * GB

    def test_corrects_hours_that_are_worked_out(self, store: Store) -> None:
        change(store, "a", GB, at=START)
        pass_hours(store, 3)
        change(store, "b", 2 * GB, at=START + HOUR / 2, now=START + 4 * HOUR)
        assert byte_hours(store) == 3 * GB + GB + 2 * 2 * GB

    @settings(deadline=None, max_examples=60)  # a busy machine is no failure
    @given(
        st.lists(st.tuples(st.integers(0, 4 * 3600), st.integers(-GB, GB), st.integers(0, 6)), max_size=8),
        st.lists(st.sampled_from([FINE, LOST_ANSWER]), max_size=20),
    )
    def test_the_order_does_not_matter(self, changes: list[tuple[int, int, int]], faults: list[str]) -> None:
        """Each change has a second, a size, and the hour after which it is heard."""
        table = Scripted([])
        change(table.store, "first", 10 * GB, at=START)
        table.next_faults(faults)
        for hour in range(8):
            now = START + hour * HOUR + SAMPLED_AFTER
            for number, (second, size, heard_in) in enumerate(changes):
                if max(heard_in, second // 3600 + 1) == hour:
                    hear(table.store, f"c{number}", size, at=START + timedelta(seconds=second), now=now)
            sample_due(table.store, now=now)
        for _ in faults:
            sample_due(table.store, now=START + 7 * HOUR + SAMPLED_AFTER)
        exact = 10 * GB * 7 + sum(size * (7 * 3600 - second) for second, size, _ in changes) // 3600
        # Each hour, and each late change in its first one, is rounded down.
        assert 0 <= exact - byte_hours(table.store) <= 7 + len(changes)


def hear(store: Store, event_id: str, size: int, *, at: datetime, now: datetime) -> None:
    """Let this be heard until it is handled, as a queue does."""
    while True:
        try:
            change(store, event_id, size, at=at, now=now)
        except DependencyUnavailable:
            continue
        return


class Meanwhile(Scripted):
    """A table in which something happens just before the next write."""

    def __init__(self) -> None:
        super().__init__([])
        self.before_next_write: Callable[[], None] | None = None

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Let it happen, then write."""
        if happens := self.before_next_write:
            self.before_next_write = None
            happens()
        return super().transact_write_items(**arguments)
