"""The quarantine of entries that fail."""

from datetime import datetime, timedelta

import pytest

from shared.storage.due import DueIndex, DueQueue
from shared.storage.quarantine import (
    CONSECUTIVE_WITHIN,
    MAX_DELAY,
    MAX_FAILURES,
    NotQuarantined,
    delay_after,
    list_quarantined,
    record_failure,
    release,
)
from shared.storage.store import Store
from shared.storage.transaction import Expression
from tests.dynamodb.memory import MemoryDynamoDB
from tests.shared.storage.runs import NOW, SLICE, add, first_entry, names

ERROR = {"error": "ValueError", "reason": "", "stack": ["services/runs/runs/domain/run.py:1 f"], "causes": []}


@pytest.fixture(name="store")
def make_store() -> Store:
    return Store(MemoryDynamoDB(), table="entities", owned=SLICE)


@pytest.fixture(name="queue")
def make_queue(store: Store) -> DueQueue:
    return DueQueue(store, DueIndex(SLICE, "RUN"))


class TestRecordFailure:
    def test_ignores_an_item_that_was_removed_concurrently(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a")
        entry = first_entry(queue)
        store.remove([entry.key])
        for _ in range(MAX_FAILURES + 1):
            record_failure(queue, entry, ERROR, now=NOW, is_outage=False)
        own = Expression("#PK = :pk", {"pk": SLICE.key("acme", "QUARANTINE")})
        assert (store.query(own).items, list_quarantined(store)) == ([], [])

    def fail(self, queue: DueQueue, *, times: int, is_outage: bool = False) -> datetime:
        now = NOW
        for _ in range(times):
            failure = record_failure(queue, first_entry(queue, now=now), ERROR, now=now, is_outage=is_outage)
            now += delay_after(failure.failures)
        return now

    def test_postpones_the_entry_with_a_growing_delay(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a")
        record_failure(queue, first_entry(queue), ERROR, now=NOW, is_outage=False)
        assert names(queue.entries(now=NOW + timedelta(seconds=59))) == []
        again = NOW + timedelta(minutes=1)
        record_failure(queue, first_entry(queue, now=again), ERROR, now=again, is_outage=False)
        assert names(queue.entries(now=again + timedelta(seconds=119))) == []
        assert names(queue.entries(now=again + timedelta(minutes=2))) == ["a"]
        assert delay_after(50) == MAX_DELAY

    def test_quarantines_after_the_maximum_of_failures(self, store: Store, queue: DueQueue) -> None:
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

    def test_counts_only_consecutive_failures(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a")
        now = self.fail(queue, times=MAX_FAILURES - 1) + CONSECUTIVE_WITHIN
        failure = record_failure(queue, first_entry(queue, now=now), ERROR, now=now, is_outage=False)
        assert failure.failures == 1

    def test_ignores_an_entry_that_was_handled_concurrently(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a")
        now = self.fail(queue, times=MAX_FAILURES - 1)
        entry = first_entry(queue, now=now)
        add(store, "acme", "a", due_at=now + timedelta(hours=1))
        record_failure(queue, entry, ERROR, now=now, is_outage=False)
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

    def test_resets_the_number_of_failures(self, store: Store, queue: DueQueue) -> None:
        [failure] = list_quarantined(store)
        release(store, failure.failure_id, now=NOW)
        assert record_failure(queue, first_entry(queue), ERROR, now=NOW, is_outage=False).failures == 1

    def test_ignores_an_item_that_became_due_again(self, store: Store, queue: DueQueue) -> None:
        [failure] = list_quarantined(store)
        add(store, "acme", "a", due_at=NOW + timedelta(hours=1))
        release(store, failure.failure_id, now=NOW)
        assert names(queue.entries(now=NOW)) == []

    def test_does_not_restore_a_deleted_item(self, store: Store, queue: DueQueue) -> None:
        [failure] = list_quarantined(store)
        store.remove([failure.entry.key])
        release(store, failure.failure_id, now=NOW)
        assert store.get(failure.entry.key) is None
        assert names(queue.entries(now=NOW)) == []

    def test_refuses_an_unknown_id(self, store: Store) -> None:
        with pytest.raises(NotQuarantined):
            release(store, "unknown", now=NOW)


def test_an_item_of_the_maximum_size_can_be_quarantined(store: Store, queue: DueQueue) -> None:
    add(store, "acme", "a")
    key = first_entry(queue).key
    size = sum(len(f"{name}{value}") for name, value in (store.get(key) or {}).items())
    store.update(
        key, Expression("SET #x = :x", {"x": "x" * (400 * 1024 - size - 200)}), when=Expression("attribute_exists(PK)")
    )
    TestRecordFailure().fail(queue, times=MAX_FAILURES)
    assert [failure.entry.key for failure in list_quarantined(store)] == [key]
