"""Scheduled loops in which no entry stops the others."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from shared.deadline import MARGIN_S, invocation
from shared.declaration import Slice, Table
from shared.errors import DependencyUnavailable
from shared.metrics import QUARANTINED, SWEEP_BACKLOG, SWEEP_FAILURES
from shared.storage.due import MAX_FAILURES, DueEntry, DueQueue, list_quarantined
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.transaction import Expression, Transaction
from shared.sweep import sweep
from shared.times import to_text
from tests.dynamodb.memory import MemoryDynamoDB
from tests.invocations import Remaining

SLICE = Slice("RUNS", Table.ENTITIES)
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


@pytest.fixture(name="store")
def make_store() -> Store:
    return Store(MemoryDynamoDB(), table="entities", owned=SLICE)


@pytest.fixture(name="queue")
def make_queue(store: Store) -> DueQueue:
    return DueQueue(store, "RUN")


def add(store: Store, tenant_id: str, *names: str) -> None:
    for name in names:
        transaction = Transaction(tenant_id)
        due = {"due_pk": SLICE.due_key("RUN"), "due_sk": f"{to_text(NOW)}#{name}"}
        transaction.put({**Key(SLICE.key(tenant_id, "RUN", name), "RUN").attributes, **due})
        store.commit(transaction)


def name_of(entry: DueEntry) -> str:
    return entry.key.pk.rpartition("#")[2]


class Handler:
    """Takes entries out of their queue; fails for those whose names begin with an `x`."""

    def __init__(self, store: Store, error: Exception | None = None) -> None:
        self._store = store
        self._error = error or ValueError("poison")
        self.handled: list[str] = []

    def __call__(self, entry: DueEntry) -> None:
        if name_of(entry).startswith("x"):
            raise self._error
        self._store.update(
            entry.key, Expression("REMOVE #due_pk, #due_sk"), when=Expression("attribute_exists(#due_pk)")
        )
        self.handled.append(name_of(entry))


class Ticking:
    """A clock that advances at each look."""

    def __init__(self, step_s: float) -> None:
        self._ticks = self._count(step_s)

    def __call__(self) -> float:
        return next(self._ticks)

    @staticmethod
    def _count(step_s: float) -> Iterator[float]:
        at = 0.0
        while True:
            yield at
            at += step_s


class TestSweep:
    def test_goes_on_after_a_failure(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a", "x", "z")
        handler = Handler(store)
        swept = sweep(queue, handler, now=NOW)
        assert handler.handled == ["a", "z"]
        assert (swept.handled, swept.failed) == (2, 1)
        assert swept.metrics == {SWEEP_FAILURES: 1, QUARANTINED: 0, SWEEP_BACKLOG: 0}

    def test_quarantines_poison_and_handles_the_rest_each_time(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "x")
        handler, now = Handler(store), NOW
        for number in range(MAX_FAILURES):
            add(store, "victim", f"v{number}")
            sweep(queue, handler, now=now)
            now += timedelta(hours=1)
        assert len(handler.handled) == MAX_FAILURES
        assert [failure.tenant_id for failure in list_quarantined(store)] == ["acme"]
        assert sweep(queue, handler, now=now).failed == 0

    def test_never_quarantines_for_an_outage(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "x")
        handler, now = Handler(store, DependencyUnavailable("down")), NOW
        for _ in range(3 * MAX_FAILURES):
            assert sweep(queue, handler, now=now).failed == 1
            now += timedelta(hours=1)
        assert list_quarantined(store) == []

    def test_goes_on_when_a_failure_cannot_be_recorded(self, store: Store) -> None:
        add(store, "acme", "x", "z")

        class Broken(DueQueue):
            def record_failure(self, *_: object, **__: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
                raise DependencyUnavailable("down")  # noqa: EM101

        handler = Handler(store)
        swept = sweep(Broken(store, "RUN"), handler, now=NOW)
        assert handler.handled == ["z"]
        assert swept.failed == 1

    def test_ends_at_the_deadline_and_counts_what_is_left(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a", "b")

        handler = Handler(store)
        with invocation(Remaining(MARGIN_S)):
            swept = sweep(queue, handler, now=NOW)
        assert handler.handled == []
        assert swept.left == 2
        assert sweep(queue, handler, now=NOW).handled == 2

    def test_gives_each_tenant_a_share_of_the_time(self, store: Store, queue: DueQueue) -> None:
        add(store, "slow", *(f"s{number}" for number in range(9)))
        add(store, "victim", "v")
        handler = Handler(store)
        swept = sweep(queue, handler, now=NOW, tenant_budget_s=10, monotonic=Ticking(5))
        assert "v" in handler.handled
        assert len(handler.handled) == 3
        assert swept.left == 7

    def test_handles_entries_at_the_same_time(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a", "b", "c")
        together = Barrier(3)
        swept = sweep(queue, lambda _: together.wait(timeout=10), now=NOW, concurrency=3)
        assert swept.handled == 3
        assert sorted(swept.results) == [0, 1, 2]
