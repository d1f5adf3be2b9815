"""Tests of storage in byte hours."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metering.counters.domain.hours import HOUR
from services.metering.ingestion import operations as ingestion
from services.metering.storage.domain import SAMPLING_DELAY, StorageChange
from services.metering.storage.table import DUE, StorageTable
from shared.errors import DependencyUnavailable
from shared.meters import Meter
from shared.storage.due import DueQueue
from shared.storage.inbox import Delivery
from shared.storage.quarantine import FIRST_DELAY
from shared.storage.store import Store
from tests.services.metering.fixtures import close_due, counted, sample_due
from tests.services.metering.scripted import FINE, LOST_REQUEST, LOST_RESPONSE, Scripted

START = datetime(2026, 11, 22, 20, tzinfo=UTC)
GB = 10**9


def change(store: Store, event_id: str, size: int, *, at: datetime, now: datetime | None = None) -> None:
    """Apply a change."""
    received = now or at
    delivery = Delivery("metering.consumer", event_id, received)
    ingestion.change_storage(store, "demo-org", {delivery: StorageChange(event_id, at, size)}, now=received)


def pass_hours(store: Store, number: int, *, since: datetime = START) -> None:
    """Run the closer after each of these hours."""
    for hour in range(1, number + 1):
        now = since + hour * HOUR + SAMPLING_DELAY
        sample_due(store, now=now)
        close_due(store, now=now)


def byte_hours(store: Store) -> int:
    """Return the byte hours in all counters."""
    return counted(store).meters.get(Meter.STORAGE_BYTE_HOURS, 0)


@pytest.fixture
def store() -> Store:
    """Return an empty slice."""
    return Scripted([]).store


class TestSample:
    def test_counts_byte_hours_from_the_time_of_storing(self, store: Store) -> None:
        change(store, "a", GB, at=START + HOUR / 2)
        pass_hours(store, 3)
        assert byte_hours(store) == GB // 2 + 2 * GB

    def test_stops_at_the_time_of_deletion(self, store: Store) -> None:
        change(store, "a", GB, at=START)
        pass_hours(store, 1)
        change(store, "b", -GB, at=START + HOUR + HOUR / 4)
        pass_hours(store, 5)
        assert byte_hours(store) == GB + GB // 4
        assert list(DueQueue(store, DUE).entries(now=START + 100 * HOUR)) == []

    def test_catches_up_on_missed_hours(self, store: Store) -> None:
        change(store, "a", GB, at=START)
        sample_due(store, now=START + 7 * HOUR + SAMPLING_DELAY)
        assert byte_hours(store) == 7 * GB

    def test_waits_for_events_in_flight(self, store: Store) -> None:
        change(store, "a", GB, at=START)
        assert sample_due(store, now=START + HOUR + SAMPLING_DELAY - timedelta(milliseconds=1)) == 0

    @pytest.mark.parametrize("fault", [LOST_RESPONSE, LOST_REQUEST])
    @pytest.mark.parametrize("after", range(6))
    def test_resumes_after_an_interruption(self, fault: str, after: int) -> None:
        table = Scripted([])
        change(table.store, "a", GB, at=START)
        table.next_faults([FINE] * after + [fault])
        for delay in (timedelta(), FIRST_DELAY):
            sample_due(table.store, now=START + 2 * HOUR + SAMPLING_DELAY + delay)
        assert byte_hours(table.store) == 2 * GB


class TestStorageTable:
    def test_stores_amounts_of_zero_for_the_preceding_release(self, store: Store) -> None:
        change(store, "a", GB, at=START)
        change(store, "b", -GB, at=START)
        storage = StorageTable(store, "demo-org")
        item = store.get(storage.key())
        assert item is not None
        assert (item["bytes_then"], item["changes"]) == (0, [{"hour": "2026-11-22T20", "bytes": 0, "byte_ms": 0}])
        assert storage.read().bytes_now == 0


class TestChangeStorage:
    def test_is_applied_once(self, store: Store) -> None:
        for _ in range(3):
            change(store, "a", GB, at=START)
        pass_hours(store, 1)
        change(store, "a", GB, at=START, now=START + 2 * HOUR)
        assert StorageTable(store, "demo-org").read().bytes_now == GB
        assert byte_hours(store) == GB

    def test_a_batch_has_the_same_effect_as_single_changes(self, store: Store) -> None:
        changes = [
            StorageChange(f"c{number}", START + number * HOUR / 4, GB * (-1) ** number * number) for number in range(9)
        ]
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
            ingestion.change_storage(store, "demo-org", deliveries, now=now)
        for each in (store, one_by_one):
            pass_hours(each, 6)
        assert byte_hours(store) == byte_hours(one_by_one)
        assert StorageTable(store, "demo-org").read().bytes_now == StorageTable(one_by_one, "demo-org").read().bytes_now

    def test_a_change_that_was_applied_concurrently_is_applied_once(self) -> None:
        table = ConcurrentWriter()
        changes = {Delivery("metering.consumer", name, START): StorageChange(name, START, GB) for name in ("a", "b")}
        table.before_next_write = lambda: change(table.store, "a", GB, at=START)
        ingestion.change_storage(table.store, "demo-org", changes, now=START)
        assert StorageTable(table.store, "demo-org").read().bytes_now == 2 * GB

    def test_corrects_hours_that_are_already_sampled(self, store: Store) -> None:
        change(store, "a", GB, at=START)
        pass_hours(store, 3)
        change(store, "b", 2 * GB, at=START + HOUR / 2, now=START + 4 * HOUR)
        assert byte_hours(store) == 3 * GB + GB + 2 * 2 * GB

    @settings(deadline=None, max_examples=60)  # a slow machine is no failure
    @given(
        st.lists(st.tuples(st.integers(0, 4 * 3600), st.integers(-GB, GB), st.integers(0, 6)), max_size=8),
        st.lists(st.sampled_from([FINE, LOST_RESPONSE]), max_size=20),
    )
    def test_order_does_not_matter(self, changes: list[tuple[int, int, int]], faults: list[str]) -> None:
        """Each change has a second, a size, and the hour in which it is delivered."""
        table = Scripted([])
        change(table.store, "first", 10 * GB, at=START)
        table.next_faults(faults)
        for hour in range(8):
            now = START + hour * HOUR + SAMPLING_DELAY
            for number, (second, size, delivered_in) in enumerate(changes):
                if max(delivered_in, second // 3600 + 1) == hour:
                    deliver_events(table.store, f"c{number}", size, at=START + timedelta(seconds=second), now=now)
            sample_due(table.store, now=now)
        for _ in faults:
            sample_due(table.store, now=START + 7 * HOUR + SAMPLING_DELAY)
        exact = 10 * GB * 7 + sum(size * (7 * 3600 - second) for second, size, _ in changes) // 3600
        # Each hour, and each late change in its first one, is rounded down.
        assert 0 <= exact - byte_hours(table.store) <= 7 + len(changes)


def deliver_events(store: Store, event_id: str, size: int, *, at: datetime, now: datetime) -> None:
    """Apply a change until it succeeds, like a queue."""
    while True:
        try:
            change(store, event_id, size, at=at, now=now)
        except DependencyUnavailable:
            continue
        return


class ConcurrentWriter(Scripted):
    """A table that calls a hook before the next write."""

    def __init__(self) -> None:
        super().__init__([])
        self.before_next_write: Callable[[], None] | None = None

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Call the hook, then write."""
        if happens := self.before_next_write:
            self.before_next_write = None
            happens()
        return super().transact_write_items(**arguments)
