"""A change and its events are written together or not at all."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from shared.declaration import Slice, Table
from shared.events.envelope import Event, new_event
from shared.events.runs import RunQueued
from shared.observability import in_trace
from shared.storage.items import Item, Key, Value
from shared.storage.listing import newest_first
from shared.storage.store import Store, Unchanged
from shared.storage.transaction import ABSENT, Expression, Transaction, refuse_with
from tests import tables
from tests.shared.storage.scripted_database import scripted_store

SLICE = Slice("RUNS", Table.ENTITIES)
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PK = SLICE.key("acme")


class ItemExists(Exception):
    """The item already exists."""


@pytest.fixture(scope="module", name="shared_table")
def make_shared_table() -> Iterator[Store]:
    """Create one table for all tests of this file, because a creation takes long."""
    with tables.store(SLICE) as store:
        yield store


@pytest.fixture(name="store")
def make_store(shared_table: Store) -> Store:
    for item in list(shared_table.query_all(Expression("#PK = :pk", {"pk": PK}))):
        transaction = Transaction("acme")
        transaction.delete(Key(str(item["PK"]), str(item["SK"])))
        shared_table.commit(transaction)
    for item in outbox(shared_table):
        transaction = Transaction("acme")
        transaction.delete(Key(str(item["PK"]), str(item["SK"])))
        shared_table.commit(transaction)
    return shared_table


def outbox(store: Store) -> list[dict[str, Value]]:
    return list(store.query_all(Expression("#PK = :pk", {"pk": SLICE.key("acme", "OUTBOX")})))


def run_queued(run_id: str = "run_1") -> Event[RunQueued]:
    data = RunQueued(run_id=run_id)
    return new_event(data, event_id=f"{run_id}:queued:1", tenant_id="acme", subject=run_id, seq=1, at=NOW)


def put(store: Store, sk: str, **attributes: Value) -> None:
    transaction = Transaction("acme")
    transaction.put({**Key(PK, sk).attributes, **attributes})
    store.commit(transaction)


class TestCommit:
    def test_writes_state_and_events_together(self, store: Store) -> None:
        transaction = Transaction("acme")
        transaction.put({**Key(PK, "RUN#1").attributes, "status": "queued"}, when=ABSENT)
        transaction.emit(run_queued(), run_queued("run_2"))
        store.commit(transaction)
        assert store.get(Key(PK, "RUN#1")) == {"PK": PK, "SK": "RUN#1", "status": "queued"}
        assert [item["SK"] for item in outbox(store)] == ["OUTBOX#run_1:queued:1", "OUTBOX#run_2:queued:1"]

    def test_writes_neither_when_a_condition_fails(self, store: Store) -> None:
        put(store, "RUN#2", n=1)
        transaction = Transaction("acme")
        transaction.put(Key(PK, "RUN#1").attributes)
        transaction.put(Key(PK, "RUN#2").attributes, when=ABSENT, otherwise=refuse_with(ItemExists()))
        transaction.emit(run_queued())
        with pytest.raises(ItemExists):
            store.commit(transaction)
        assert store.get(Key(PK, "RUN#1")) is None
        assert outbox(store) == []

    def test_passes_the_existing_item_to_the_refusal(self, store: Store) -> None:
        put(store, "RUN#2", n=1)
        seen: list[Item | None] = []
        transaction = Transaction("acme")
        transaction.put(
            Key(PK, "RUN#2").attributes, when=ABSENT, otherwise=lambda existing: seen.append(existing) or ItemExists()
        )
        with pytest.raises(ItemExists):
            store.commit(transaction)
        assert seen == [{"PK": PK, "SK": "RUN#2", "n": 1}]

    def test_writes_an_event_with_the_same_id_once(self, store: Store) -> None:
        for _ in range(2):
            transaction = Transaction("acme")
            transaction.emit(run_queued())
            store.commit(transaction)
        assert len(outbox(store)) == 1

    def test_writes_the_event_with_source_type_and_due_time(self, store: Store) -> None:
        with in_trace("1-abc"):
            transaction = Transaction("acme")
            transaction.emit(run_queued())
            store.commit(transaction)
        [item] = outbox(store)
        assert (item["source"], item["type"]) == ("ainexus.runs", "run.queued.v1")
        assert (item["due_pk"], item["due_sk"]) == ("DUE#RUNS#OUTBOX", "2026-11-22T12:00:30.000Z#run_1:queued:1")
        assert "ttl" not in item
        assert json.loads(str(item["event"])) == {
            "id": "run_1:queued:1",
            "type": "run.queued.v1",
            "tenant_id": "acme",
            "subject": "run_1",
            "seq": 1,
            "occurred_at": "2026-11-22T12:00:00Z",
            "trace_id": "1-abc",
            "data": {"run_id": "run_1"},
        }


class TestUpdate:
    def test_changes_the_item_if_the_condition_holds(self, store: Store) -> None:
        put(store, "RUN#1", left=1)
        decrement = Expression("SET #left = #left - :one", {"one": 1})
        is_positive = Expression("#left >= :one", {"one": 1})
        assert store.update(Key(PK, "RUN#1"), decrement, when=is_positive) == {"PK": PK, "SK": "RUN#1", "left": 0}
        assert store.update(Key(PK, "RUN#1"), decrement, when=is_positive) is None

    def test_returns_the_existing_item_if_the_condition_fails(self, store: Store) -> None:
        decrement = Expression("SET #left = #left - :one", {"one": 1})
        is_positive = Expression("#left >= :one", {"one": 1})
        assert store.try_update(Key(PK, "RUN#1"), decrement, when=is_positive) == Unchanged(None)
        put(store, "RUN#1", left=1)
        assert store.try_update(Key(PK, "RUN#1"), decrement, when=is_positive) is None
        assert store.try_update(Key(PK, "RUN#1"), decrement, when=is_positive) == Unchanged(
            {"PK": PK, "SK": "RUN#1", "left": 0}
        )


class TestQuery:
    def test_continues_after_a_page(self, store: Store) -> None:
        for number in range(3):
            put(store, f"RUN#{number}")
        condition = Expression("#PK = :pk", {"pk": PK})
        first = store.query(condition, limit=2)
        rest = store.query(condition, limit=2, resume_after=first.resume_after)
        assert [item["SK"] for item in (*first.items, *rest.items)] == ["RUN#0", "RUN#1", "RUN#2"]
        assert rest.resume_after is None

    def test_reads_an_index(self, store: Store) -> None:
        put(store, "RUN#1", list_pk=SLICE.key("acme", "LIST"), list_sk="1", status="queued")
        found = store.query(Expression("#list_pk = :pk", {"pk": SLICE.key("acme", "LIST")}), index="list").items
        assert [(item["SK"], "status" in item) for item in found] == [("RUN#1", False)]

    def test_reads_all_pages(self, store: Store) -> None:
        # Six items of 300 KB exceed the 1 MB of a page.
        for number in range(6):
            put(store, f"RUN#{number}", text="x" * 300_000)
        found = list(store.query_all(Expression("#PK = :pk", {"pk": PK}), newest_first=True))
        assert [item["SK"] for item in found] == [f"RUN#{number}" for number in range(5, -1, -1)]


class TestNewestFirst:
    def pages(self, store: Store, *, limit: int) -> list[list[str]]:
        found: list[list[str]] = []
        after: str | None = None
        while True:
            items, after = newest_first(store, pk=PK, prefix="RUN#", limit=limit, after=after)
            found.append([str(item["SK"]) for item in items])
            if after is None:
                return found

    @pytest.mark.parametrize(
        ("count", "pages"),
        [
            (1, [["RUN#0"]]),
            (2, [["RUN#1", "RUN#0"]]),
            (3, [["RUN#2", "RUN#1"], ["RUN#0"]]),
            (4, [["RUN#3", "RUN#2"], ["RUN#1", "RUN#0"]]),
        ],
    )
    def test_returns_every_item_once(self, store: Store, count: int, pages: list[list[str]]) -> None:
        for number in range(count):
            put(store, f"RUN#{number}")
        put(store, "OTHER#1")
        put(store, "RUO#1")
        assert self.pages(store, limit=2) == pages

    def test_returns_one_empty_page_without_items(self, store: Store) -> None:
        assert self.pages(store, limit=2) == [[]]

    def test_ignores_items_added_between_pages(self, store: Store) -> None:
        for number in range(3):
            put(store, f"RUN#{number}")
        _, after = newest_first(store, pk=PK, prefix="RUN#", limit=2, after=None)
        put(store, "RUN#9")
        items, _ = newest_first(store, pk=PK, prefix="RUN#", limit=2, after=after)
        assert [item["SK"] for item in items] == ["RUN#0"]

    def test_continues_after_a_page_that_ends_at_one_megabyte(self) -> None:
        item = {"PK": {"S": PK}, "SK": {"S": "RUN#5"}}
        store, _, _ = scripted_store({"Items": [item], "LastEvaluatedKey": item})
        assert newest_first(store, pk=PK, prefix="RUN#", limit=2, after=None)[1] == "5"


class TestPrefetching:
    def test_serves_only_the_first_read_of_each_item(self, store: Store) -> None:
        put(store, "A", n=1)
        with store.prefetching([Key(PK, "A"), Key(PK, "B")]):
            put(store, "A", n=2)
            put(store, "B", n=2)
            assert store.get(Key(PK, "B")) is None
            assert (store.get(Key(PK, "A")) or {})["n"] == 1
            assert (store.get(Key(PK, "A")) or {})["n"] == 2
            assert (store.get(Key(PK, "B")) or {})["n"] == 2

    def test_ends_with_its_block(self, store: Store) -> None:
        put(store, "A", n=1)
        with store.prefetching([Key(PK, "A")]):
            put(store, "A", n=2)
        assert (store.get(Key(PK, "A")) or {})["n"] == 2

    def test_applies_to_one_store(self, store: Store) -> None:
        put(store, "A", n=1)
        other, database, _ = scripted_store({})
        with other.prefetching([]), store.prefetching([Key(PK, "A")]):
            assert other.get(Key(PK, "A")) is None
        assert len(database.requests) == 1

    def test_sends_one_request(self) -> None:
        store, database, _ = scripted_store({"Responses": {"entities": [{"PK": {"S": PK}, "SK": {"S": "A"}}]}})
        with store.prefetching([Key(PK, "A"), Key(PK, "B")]):
            assert store.get(Key(PK, "A"))
            assert store.get(Key(PK, "B")) is None
        assert len(database.requests) == 1
