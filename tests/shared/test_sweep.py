"""Sweeps, in which no entry can stop the others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from shared.deadline import MARGIN_S, invocation
from shared.declaration import Slice, Table
from shared.errors import DependencyUnavailable
from shared.metrics import QUARANTINED, SWEEP_BACKLOG, SWEEP_FAILURES
from shared.storage.codec import Codec
from shared.storage.due import WINDOW, DueEntry, DueIndex, DueQueue
from shared.storage.items import Key, Value, item_from_wire, item_to_wire
from shared.storage.quarantine import MAX_FAILURES, list_quarantined
from shared.storage.store import Store, TableClient
from shared.storage.table import TenantTable
from shared.storage.transaction import Expression, Transaction
from shared.sweep import sweep
from shared.times import to_text
from tests.dynamodb.memory import MemoryDynamoDB
from tests.invocations import FakeLambdaContext

SLICE = Slice("RUNS", Table.ENTITIES)
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


@pytest.fixture(name="store")
def make_store() -> Store:
    return Store(MemoryDynamoDB(), table="entities", owned=SLICE)


@pytest.fixture(name="queue")
def make_queue(store: Store) -> DueQueue:
    return DueQueue(store, DueIndex(SLICE, "RUN"))


def add(store: Store, tenant_id: str, *names: str) -> None:
    for name in names:
        transaction = Transaction(tenant_id)
        due = {"due_pk": SLICE.due_key("RUN"), "due_sk": f"{to_text(NOW)}#{name}"}
        transaction.put({**Key(SLICE.key(tenant_id, "RUN", name), "RUN").attributes, **due})
        store.commit(transaction)


def name_of(entry: DueEntry) -> str:
    return entry.key.pk.rpartition("#")[2]


@dataclass(frozen=True)
class Counter:
    """A record that is due."""

    name: str
    number: int


class CounterTable(TenantTable[Counter]):
    """The records of one tenant."""

    prefix, id_field = "COUNTER#", "name"
    codec = Codec(Counter)

    def indexed(self, record: Counter) -> Mapping[str, Value]:
        """Return the place in the queue."""
        return DueIndex(SLICE, "COUNTER").place(NOW, record.name)


class CountingDynamoDB(MemoryDynamoDB):
    """A table that records its reads of items, and can fail in those of several."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__()
        self.reads: list[str] = []
        self._broken = broken

    def get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Record the read."""
        self.reads.append("GetItem")
        return super().get_item(**arguments)

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Record the read, or fail."""
        if self._broken:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
        self.reads.append("BatchGetItem")
        return super().batch_get_item(**arguments)


def counters(client: CountingDynamoDB, *names: str) -> DueQueue[Counter]:
    """Store due records of one tenant; return their queue, which reads two at a time."""
    store = Store(client, table="entities", owned=SLICE)
    table = CounterTable(store, "acme")
    transaction = table.transaction()
    for name in names:
        table.add(transaction, Counter(name, 1))
    store.commit(transaction)
    return DueQueue(store, DueIndex(SLICE, "COUNTER"), CounterTable, batch=2)


class Handler:
    """A handler that removes entries from their queue, and fails for those whose names begin with `x`."""

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


def dynamodb_error(code: str, *, status: int = 400) -> ClientError:
    """Return an error of DynamoDB as botocore raises it."""
    response: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "UpdateItem")


class FloodedDynamoDB:
    """The index `due` with 50,000 entries of one tenant and a later one of another, in pages as DynamoDB has them."""

    _PAGE = 5_000
    _FLOOD = 50_000

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Return a page."""
        start = arguments.get("ExclusiveStartKey")
        first = int(str(item_from_wire(start)["PK"]).rpartition("#")[2]) + 1 if start else 0
        last = min(first + self._PAGE, self._FLOOD + 1)
        items = [self._item(number) for number in range(first, last)]
        return {"Items": items, **({"LastEvaluatedKey": items[-1]} if last <= self._FLOOD else {})}

    def _item(self, number: int) -> dict[str, Any]:
        tenant_id = "flood" if number < self._FLOOD else "victim"
        due = {"due_pk": SLICE.due_key("RUN"), "due_sk": f"{to_text(NOW)}#{number:06}"}
        return item_to_wire({**Key(SLICE.key(tenant_id, "RUN", f"{number:06}"), "RUN").attributes, **due})


class TickingClock:
    """A clock that advances at each call."""

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
    def test_continues_after_a_failure(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a", "x", "z")
        handler = Handler(store)
        swept = sweep(queue, handler, now=NOW)
        assert handler.handled == ["a", "z"]
        assert (swept.handled, swept.failed) == (2, 1)
        assert swept.metrics == {SWEEP_FAILURES: 1, QUARANTINED: 0, SWEEP_BACKLOG: 0}

    def test_quarantines_poison_and_handles_all_other_entries(self, store: Store, queue: DueQueue) -> None:
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

    @pytest.mark.parametrize(
        "error",
        [
            dynamodb_error("AccessDeniedException"),
            dynamodb_error("UnrecognizedClientException"),
            dynamodb_error("ExpiredTokenException"),
            dynamodb_error("ResourceNotFoundException"),
            dynamodb_error("ThrottlingException"),
            dynamodb_error("Forbidden", status=403),
            dynamodb_error("InternalServerError", status=500),
            NoCredentialsError(),
        ],
    )
    def test_never_quarantines_for_permissions_and_credentials(
        self, store: Store, queue: DueQueue, error: Exception
    ) -> None:
        add(store, "acme", "x")
        handler, now = Handler(store, error), NOW
        for _ in range(2 * MAX_FAILURES):
            assert sweep(queue, handler, now=now).failed == 1
            now += timedelta(hours=1)
        assert list_quarantined(store) == []

    def test_quarantines_an_entry_with_invalid_content(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "x")
        handler, now = Handler(store, dynamodb_error("ValidationException")), NOW
        for _ in range(MAX_FAILURES):
            sweep(queue, handler, now=now)
            now += timedelta(hours=1)
        assert len(list_quarantined(store)) == 1

    def test_handles_an_entry_behind_50_000_of_another_tenant(self) -> None:
        handled: list[str] = []
        queue = DueQueue(
            Store(cast("TableClient", FloodedDynamoDB()), table="entities", owned=SLICE), DueIndex(SLICE, "RUN")
        )
        swept = sweep(queue, lambda entry: handled.append(entry.tenant_id), now=NOW)
        assert handled[:2] == ["flood", "victim"]
        assert swept.handled == WINDOW

    def test_continues_if_a_failure_cannot_be_recorded(self, store: Store) -> None:
        add(store, "acme", "x", "z")

        class FailingQueue(DueQueue):
            def postpone(self, *_: object, **__: object) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
                raise DependencyUnavailable("down")  # noqa: EM101

        handler = Handler(store)
        swept = sweep(FailingQueue(store, DueIndex(SLICE, "RUN")), handler, now=NOW)
        assert handler.handled == ["z"]
        assert swept.failed == 1

    def test_ends_at_the_deadline_and_counts_the_remaining_entries(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a", "b")

        handler = Handler(store)
        with invocation(FakeLambdaContext(MARGIN_S)):
            swept = sweep(queue, handler, now=NOW)
        assert handler.handled == []
        assert swept.left == 2
        assert sweep(queue, handler, now=NOW).handled == 2

    def test_limits_the_time_of_each_tenant(self, store: Store, queue: DueQueue) -> None:
        add(store, "slow", *(f"s{number}" for number in range(9)))
        add(store, "victim", "v")
        handler = Handler(store)
        swept = sweep(queue, handler, now=NOW, tenant_budget_s=10, monotonic=TickingClock(5))
        assert "v" in handler.handled
        assert len(handler.handled) == 3
        assert swept.left == 7

    def test_reads_records_in_batches(self) -> None:
        client = CountingDynamoDB()
        queue = counters(client, "a", "b", "c", "d", "e")
        swept = sweep(queue, queue.load, now=NOW, concurrency=2)
        assert sorted(one.number for one in swept.results) == [1, 1, 1, 1, 1]
        assert client.reads == ["BatchGetItem"] * 3

    def test_reads_records_one_by_one_if_a_batch_cannot_be_read(self) -> None:
        client = CountingDynamoDB(broken=True)
        queue = counters(client, "a", "b")
        assert len(sweep(queue, queue.load, now=NOW).results) == 2
        assert client.reads == ["GetItem"] * 2

    def test_counts_the_entries_of_a_batch_that_it_has_no_time_for(self) -> None:
        client = CountingDynamoDB()
        queue = counters(client, "a", "b", "c", "d", "e")
        swept = sweep(queue, queue.load, now=NOW, tenant_budget_s=10, monotonic=TickingClock(20))
        assert (len(swept.results), swept.left) == (1, 4)

    def test_handles_entries_concurrently(self, store: Store, queue: DueQueue) -> None:
        add(store, "acme", "a", "b", "c")
        barrier = Barrier(3)
        swept = sweep(queue, lambda _: barrier.wait(timeout=10), now=NOW, concurrency=3)
        assert swept.handled == 3
        assert sorted(swept.results) == [0, 1, 2]
