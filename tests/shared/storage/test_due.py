"""Queues of due work."""

from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.deadline import MARGIN_S, invocation
from shared.storage.due import DueIndex, DueQueue
from shared.storage.items import Key, item_to_wire
from shared.storage.store import Store
from shared.times import to_text
from tests.dynamodb.memory import MemoryDynamoDB
from tests.invocations import FakeLambdaContext
from tests.shared.storage.runs import NOW, SLICE, add, first_entry, names


@pytest.fixture(name="store")
def make_store() -> Store:
    return Store(MemoryDynamoDB(), table="entities", owned=SLICE)


@pytest.fixture(name="queue")
def make_queue(store: Store) -> DueQueue:
    return DueQueue(store, DueIndex(SLICE, "RUN"))


class TestEntries:
    def test_are_due_and_sorted_oldest_first(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "b", due_at=NOW - timedelta(minutes=1))
        add(store, "acme", "a", due_at=NOW)
        add(store, "acme", "later", due_at=NOW + timedelta(milliseconds=1))
        assert names(queue.entries(now=NOW)) == ["b", "a"]

    def test_alternate_between_tenants(self, store: Store, queue: DueQueue) -> None:
        for number in range(5):
            add(store, "flood", f"f{number}", due_at=NOW - timedelta(hours=1))
        add(store, "victim", "v")
        assert names(queue.entries(now=NOW)) == ["f0", "v", "f1", "f2", "f3", "f4"]

    def test_are_bounded_by_the_window(self, store: Store, queue: DueQueue) -> None:
        for number in range(5):
            add(store, "acme", str(number))
        assert len(list(queue.entries(now=NOW, window=3))) == 3

    def test_include_other_tenants_behind_a_flood(self, store: Store, queue: DueQueue) -> None:
        for number in range(50):
            add(store, "flood", f"f{number:02}", due_at=NOW - timedelta(hours=1))
        add(store, "victim", "v")
        assert names(queue.entries(now=NOW, window=4)) == ["f00", "v", "f01", "f02"]

    def test_are_read_up_to_the_maximum(self, store: Store, queue: DueQueue) -> None:
        for number in range(5):
            add(store, "flood", f"f{number}", due_at=NOW - timedelta(hours=1))
        add(store, "victim", "v")
        assert names(queue.entries(now=NOW, window=2, max_read=5)) == ["f0", "f1"]

    def test_are_read_for_half_of_the_remaining_time(self) -> None:
        reads: list[object] = []

        class Endless(MemoryDynamoDB):
            """An index with an endless number of pages."""

            def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
                reads.append(arguments.get("ExclusiveStartKey"))
                due = {"due_pk": SLICE.due_key("RUN"), "due_sk": f"{to_text(NOW)}#{len(reads)}"}
                item = item_to_wire({**Key(SLICE.key("flood", "RUN", str(len(reads))), "RUN").attributes, **due})
                return {"Items": [item], "LastEvaluatedKey": item}

        queue = DueQueue(Store(Endless(), table="entities", owned=SLICE), DueIndex(SLICE, "RUN"))
        with invocation(FakeLambdaContext(20 + MARGIN_S)):
            seconds = count()
            found = names(queue.entries(now=NOW, max_read=50, monotonic=lambda: next(seconds)))
            assert found == [str(number) for number in range(1, 11)]
        with invocation(FakeLambdaContext(MARGIN_S)):
            reads.clear()
            assert names(queue.entries(now=NOW, max_read=50)) == ["1"]

    @given(
        tenants=st.lists(st.sampled_from("abcd"), max_size=40),
        window=st.integers(1, 12),
    )
    def test_in_a_window_are_the_first_of_all_entries(self, tenants: list[str], window: int) -> None:
        store = Store(MemoryDynamoDB(), table="entities", owned=SLICE)
        for number, tenant_id in enumerate(tenants):
            add(store, tenant_id, f"{tenant_id}{number:02}")
        queue = DueQueue(store, DueIndex(SLICE, "RUN"))
        # Each turn begins with the tenant that was read first, even if the entries of both are in one window.
        assert names(queue.entries(now=NOW, window=window)) == names(queue.entries(now=NOW))[:window]


class TestPostpone:
    def test_moves_the_entry(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a")
        assert queue.postpone(first_entry(queue), at=NOW + timedelta(minutes=1))
        assert names(queue.entries(now=NOW)) == []
        assert names(queue.entries(now=NOW + timedelta(minutes=1))) == ["a"]

    def test_ignores_an_entry_that_has_moved(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a")
        entry = first_entry(queue)
        add(store, "acme", "a", due_at=NOW - timedelta(hours=1))
        assert not queue.postpone(entry, at=NOW + timedelta(minutes=1))
        assert names(queue.entries(now=NOW)) == ["a"]
