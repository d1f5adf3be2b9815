"""Queues of due work and their quarantine."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.declaration import Slice, Table
from shared.storage.due import (
    IN_A_ROW,
    MAX_DELAY,
    MAX_FAILURES,
    DueEntry,
    DueQueue,
    NotQuarantined,
    delay_after,
    list_quarantined,
    release,
)
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.transaction import Expression, Transaction
from shared.times import to_text
from tests.dynamodb.memory import MemoryDynamoDB

SLICE = Slice("RUNS", Table.ENTITIES)
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
ERROR = {"error": "ValueError", "reason": "", "stack": ["services/runs/domain/run.py:1 f"], "causes": []}


@pytest.fixture(name="store")
def make_store() -> Store:
    return Store(MemoryDynamoDB(), table="entities", owned=SLICE)


@pytest.fixture(name="queue")
def make_queue(store: Store) -> DueQueue:
    return DueQueue(store, "RUN")


def add(store: Store, tenant_id: str, name: str, *, due_at: datetime = NOW) -> None:
    transaction = Transaction(tenant_id)
    due = {"due_pk": SLICE.due_key("RUN"), "due_sk": f"{to_text(due_at)}#{name}"}
    transaction.put({**Key(SLICE.key(tenant_id, "RUN", name), "RUN").attributes, **due})
    store.commit(transaction)


def names(entries: Iterator[DueEntry]) -> list[str]:
    return [entry.key.pk.rpartition("#")[2] for entry in entries]


def first(queue: DueQueue, *, now: datetime = NOW) -> DueEntry:
    return next(queue.entries(now=now))


class TestEntries:
    def test_are_those_that_are_due_the_oldest_first(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "b", due_at=NOW - timedelta(minutes=1))
        add(store, "acme", "a", due_at=NOW)
        add(store, "acme", "later", due_at=NOW + timedelta(milliseconds=1))
        assert names(queue.entries(now=NOW)) == ["b", "a"]

    def test_take_turns_over_tenants(self, store: Store, queue: DueQueue) -> None:
        for number in range(5):
            add(store, "flood", f"f{number}", due_at=NOW - timedelta(hours=1))
        add(store, "victim", "v")
        assert names(queue.entries(now=NOW)) == ["f0", "v", "f1", "f2", "f3", "f4"]

    def test_are_bounded_by_the_window(self, store: Store, queue: DueQueue) -> None:
        for number in range(5):
            add(store, "acme", str(number))
        assert len(list(queue.entries(now=NOW, window=3))) == 3


class TestPutBack:
    def test_moves_the_entry(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a")
        assert queue.put_back(first(queue), at=NOW + timedelta(minutes=1))
        assert names(queue.entries(now=NOW)) == []
        assert names(queue.entries(now=NOW + timedelta(minutes=1))) == ["a"]

    def test_leaves_an_entry_that_has_moved(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a")
        entry = first(queue)
        add(store, "acme", "a", due_at=NOW - timedelta(hours=1))
        assert not queue.put_back(entry, at=NOW + timedelta(minutes=1))
        assert names(queue.entries(now=NOW)) == ["a"]


class TestRecordFailure:
    def fail(self, queue: DueQueue, *, times: int, is_outage: bool = False) -> datetime:
        now = NOW
        for _ in range(times):
            failure = queue.record_failure(first(queue, now=now), ERROR, now=now, is_outage=is_outage)
            now += delay_after(failure.failures)
        return now

    def test_moves_the_entry_back_with_a_growing_delay(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a")
        queue.record_failure(first(queue), ERROR, now=NOW, is_outage=False)
        assert names(queue.entries(now=NOW + timedelta(seconds=59))) == []
        again = NOW + timedelta(minutes=1)
        queue.record_failure(first(queue, now=again), ERROR, now=again, is_outage=False)
        assert names(queue.entries(now=again + timedelta(seconds=119))) == []
        assert names(queue.entries(now=again + timedelta(minutes=2))) == ["a"]
        assert delay_after(50) == MAX_DELAY

    def test_quarantines_after_too_many(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a")
        now = self.fail(queue, times=MAX_FAILURES)
        assert names(queue.entries(now=now + timedelta(days=365))) == []
        [failure] = list_quarantined(store)
        assert (failure.tenant_id, failure.failures, failure.error) == ("acme", MAX_FAILURES, ERROR)

    def test_never_quarantines_for_an_outage(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a")
        now = self.fail(queue, times=3 * MAX_FAILURES, is_outage=True)
        assert names(queue.entries(now=now)) == ["a"]
        assert list_quarantined(store) == []

    def test_counts_only_failures_in_a_row(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a")
        now = self.fail(queue, times=MAX_FAILURES - 1) + IN_A_ROW
        failure = queue.record_failure(first(queue, now=now), ERROR, now=now, is_outage=False)
        assert failure.failures == 1

    def test_does_not_touch_an_entry_that_was_handled_meanwhile(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a")
        now = self.fail(queue, times=MAX_FAILURES - 1)
        entry = first(queue, now=now)
        add(store, "acme", "a", due_at=now + timedelta(hours=1))
        queue.record_failure(entry, ERROR, now=now, is_outage=False)
        assert names(queue.entries(now=now + timedelta(hours=1))) == ["a"]
        assert list_quarantined(store) == []


class TestRelease:
    @pytest.fixture(autouse=True)
    def quarantine(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a")
        TestRecordFailure().fail(queue, times=MAX_FAILURES)

    def test_makes_the_entry_due_again(self, store: Store, queue: DueQueue) -> None:
        [failure] = list_quarantined(store)
        release(store, failure.failure_id, now=NOW)
        assert names(queue.entries(now=NOW)) == ["a"]
        assert list_quarantined(store) == []

    def test_gives_it_all_its_tries_again(self, store: Store, queue: DueQueue) -> None:
        [failure] = list_quarantined(store)
        release(store, failure.failure_id, now=NOW)
        assert queue.record_failure(first(queue), ERROR, now=NOW, is_outage=False).failures == 1

    def test_leaves_an_item_that_became_due_by_itself(self, store: Store, queue: DueQueue) -> None:
        [failure] = list_quarantined(store)
        add(store, "acme", "a", due_at=NOW + timedelta(hours=1))
        release(store, failure.failure_id, now=NOW)
        assert names(queue.entries(now=NOW)) == []

    def test_brings_no_deleted_item_back(self, store: Store, queue: DueQueue) -> None:
        [failure] = list_quarantined(store)
        store.remove([failure.entry.key])
        release(store, failure.failure_id, now=NOW)
        assert store.get(failure.entry.key) is None
        assert names(queue.entries(now=NOW)) == []

    def test_refuses_an_unknown_id(self, store: Store) -> None:
        with pytest.raises(NotQuarantined):
            release(store, "unknown", now=NOW)


def test_an_item_as_large_as_dynamodb_allows_can_be_quarantined(store: Store, queue: DueQueue) -> None:
    add(store, "acme", "a")
    key = first(queue).key
    size = sum(len(f"{name}{value}") for name, value in (store.get(key) or {}).items())
    store.update(
        key, Expression("SET #x = :x", {"x": "x" * (400 * 1024 - size - 200)}), when=Expression("attribute_exists(PK)")
    )
    TestRecordFailure().fail(queue, times=MAX_FAILURES)
    assert [failure.entry.key for failure in list_quarantined(store)] == [key]
