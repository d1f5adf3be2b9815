"""A removal deletes all data of a tenant in a slice except the retained rows, even after interruptions."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from types_boto3_dynamodb import DynamoDBClient
from types_boto3_s3 import S3Client

from shared.aws.clients import own_client
from shared.copies.tenant_access import TenantAccessCopies, access_key
from shared.deadline import GATEWAY_TIMEOUT_S, MARGIN_S
from shared.declaration import Slice, Table
from shared.events.envelope import Event, new_event
from shared.events.tenants import TenantDeleted
from shared.messaging.consumer import EXISTENCE_CACHE_LIFETIME, EventConsumer
from shared.removal import LAST_WRITES_S, SETTLES_S, remover
from shared.storage.due import DueIndex, DueQueue
from shared.storage.idempotency import IdempotencyKey
from shared.storage.inbox import Delivery
from shared.storage.items import Key
from shared.storage.objects import Artifacts
from shared.storage.partitions import TenantPartitions
from shared.storage.quarantine import MAX_FAILURES, list_quarantined, record_failure
from shared.storage.store import Store
from shared.storage.transaction import Transaction
from shared.times import to_text
from tests.messages import batch
from tests.tables import BUCKET, REGION, tables
from tests.tenants import tenant_created

SLICE = Slice("THINGS", Table.ENTITIES)
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TENANT_PARTITIONS = TenantPartitions(
    lists=("LISTED",), partitions=lambda tenant_id, _: (SLICE.key(tenant_id, "MONTH"),), retained=("BOOK#",)
)


@pytest.fixture(name="database")
def make_database() -> Iterator[DynamoDBClient]:
    with tables() as client:
        yield client


@pytest.fixture(name="s3")
def make_bucket(database: DynamoDBClient) -> S3Client:  # noqa: ARG001 — starts moto
    client: S3Client = own_client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return client


def store_of(client: Any) -> Store:  # noqa: ANN401 — botocore makes clients from data
    return Store(client, table=os.environ[SLICE.table.variable], owned=SLICE, sleep=lambda _: None)


def fill(store: Store, s3: S3Client, tenant_id: str) -> None:
    """Create one row of each kind, and objects with an older version and a deleted one."""
    TenantAccessCopies(store).keep(tenant_created(tenant_id))
    transaction = Transaction(tenant_id)
    IdempotencyKey(tenant_id, "user:1 POST", "key", "hash", NOW).remember(transaction, SLICE, resource_id="1")
    Delivery("things.consumer", "event-1", NOW).mark(transaction, SLICE)
    for number in range(30):
        listed = {"list_pk": SLICE.key(tenant_id, "LISTED"), "list_sk": f"{number:03d}"}
        transaction.put({**Key(SLICE.key(tenant_id, "ONE", str(number)), "ONE").attributes, **listed})
    own, month = SLICE.key(tenant_id), SLICE.key(tenant_id, "MONTH")
    for key in (Key(own, "THING#1"), Key(own, "BOOK#1"), Key(month, "1")):
        transaction.put(key.attributes)
    store.commit(transaction)
    for body in (b"old", b"new"):
        s3.put_object(Bucket=BUCKET, Key=f"tenants/{tenant_id}/things/1", Body=body)
    s3.delete_object(Bucket=BUCKET, Key=f"tenants/{tenant_id}/things/1")
    s3.put_object(Bucket=BUCKET, Key=f"tenants/{tenant_id}/others/1", Body=b"another service's")


def remaining_items(database: DynamoDBClient, tenant_id: str) -> list[dict[str, Any]]:
    own = f"TENANT#{tenant_id}#"
    items = database.scan(TableName=os.environ[SLICE.table.variable])["Items"]
    return [item for item in items if str(item["PK"].get("S")).startswith(own)]


def sort_keys(database: DynamoDBClient, tenant_id: str) -> list[str]:
    return sorted(str(item["SK"].get("S")) for item in remaining_items(database, tenant_id))


def deleted(tenant_id: str = "acme") -> Event[TenantDeleted]:
    event_id = f"{tenant_id}:deleted"
    return new_event(TenantDeleted(), event_id=event_id, tenant_id=tenant_id, subject=tenant_id, seq=9, at=NOW)


def new_remover(store: Store, s3: Any) -> EventConsumer:  # noqa: ANN401 — as above
    objects = Artifacts(s3, bucket=BUCKET)

    def empty_folder(tenant_id: str) -> int:
        return objects.delete_below(tenant_id, "things")

    return remover("things", store=lambda: store, partitions=TENANT_PARTITIONS, empty_folder=empty_folder)


def removal_payload(database: DynamoDBClient) -> dict[str, Any]:
    [item] = [item for item in remaining_items(database, "acme") if str(item["SK"].get("S")).startswith("OUTBOX#")]
    return json.loads(str(item["event"].get("S")))


RETAINED_SORT_KEYS = ["BOOK#1", "COPY#TENANT", "OUTBOX#acme:things:data_removed"]


class TestRemover:
    def test_keeps_tombstone_and_retained_rows_and_publishes_the_removal(
        self, database: DynamoDBClient, s3: S3Client
    ) -> None:
        store = store_of(database)
        fill(store, s3, "acme")
        assert new_remover(store, s3)(batch(deleted())) == {"batchItemFailures": []}
        assert sort_keys(database, "acme") == RETAINED_SORT_KEYS
        assert s3.list_object_versions(Bucket=BUCKET, Prefix="tenants/acme/things/").get("Versions", []) == []
        payload = removal_payload(database)
        assert (payload["type"], payload["subject"]) == ("tenant.data_removed.v1", "things")
        assert payload["data"] == {"service": "things", "items": 34, "objects": 3}

    def test_leaves_other_tenants_unchanged(self, database: DynamoDBClient, s3: S3Client) -> None:
        store = store_of(database)
        for tenant_id in ("acme", "acme2"):
            fill(store, s3, tenant_id)
        before = remaining_items(database, "acme2")
        new_remover(store, s3)(batch(deleted()))
        assert remaining_items(database, "acme2") == before
        assert s3.list_objects_v2(Bucket=BUCKET, Prefix="tenants/acme/others/")["KeyCount"] == 1

    def test_publishes_nothing_after_a_second_delivery(self, database: DynamoDBClient, s3: S3Client) -> None:
        store = store_of(database)
        fill(store, s3, "acme")
        for _ in range(2):
            new_remover(store, s3)(batch(deleted()))
        assert sort_keys(database, "acme") == RETAINED_SORT_KEYS

    def test_waits_longer_than_any_cache_of_the_tenant_lives(
        self, database: DynamoDBClient, s3: S3Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = store_of(database)
        fill(store, s3, "acme")
        waited: list[float] = []

        def pause(seconds: float) -> None:
            waited.append(seconds)
            assert TenantAccessCopies(store).is_deleted("acme")
            assert len(sort_keys(database, "acme")) > len(RETAINED_SORT_KEYS) or len(waited) > 1
            assert "OUTBOX#acme:things:data_removed" not in sort_keys(database, "acme")

        monkeypatch.undo()
        monkeypatch.setattr("shared.removal.time.sleep", pause)
        new_remover(store, s3)(batch(deleted()))
        assert waited == [SETTLES_S, LAST_WRITES_S]
        assert 3 * EXISTENCE_CACHE_LIFETIME.total_seconds() <= SETTLES_S
        assert LAST_WRITES_S > GATEWAY_TIMEOUT_S

    @pytest.mark.parametrize("calls", range(0, 12, 2))
    def test_resumes_after_a_crash(self, database: DynamoDBClient, s3: S3Client, calls: int) -> None:
        store = store_of(database)
        fill(store, s3, "acme")
        result = new_remover(store_of(CrashingClient(database, calls)), s3)(batch(deleted()))
        assert result == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
        new_remover(store, s3)(batch(deleted()))
        assert sort_keys(database, "acme") == RETAINED_SORT_KEYS
        assert removal_payload(database)["data"]["service"] == "things"

    def test_writes_a_tombstone_for_an_unknown_tenant(self, database: DynamoDBClient, s3: S3Client) -> None:
        store = store_of(database)
        new_remover(store, s3)(batch(deleted()))
        TenantAccessCopies(store).keep(tenant_created("acme"))
        assert TenantAccessCopies(store).is_deleted("acme")
        assert store.get(access_key(SLICE, "acme"))


class TestLaggingIndex:
    """Rows that only a list names are removed before the removal is published, even if the index shows them late."""

    def test_removes_rows_written_just_before_the_tombstone(
        self, database: DynamoDBClient, s3: S3Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lagging = LaggingIndexClient(database)
        store = store_of(lagging)
        fill(store, s3, "acme")
        assert lagging.hidden
        self.call_in_pauses(monkeypatch, [lambda: None, lambda: None, lambda: None, lagging.catch_up])
        assert new_remover(store, s3)(batch(deleted())) == {"batchItemFailures": []}
        assert sort_keys(database, "acme") == RETAINED_SORT_KEYS
        assert removal_payload(database)["data"]["items"] == 34

    def test_removes_rows_of_a_writer_that_checked_before_the_tombstone(
        self, database: DynamoDBClient, s3: S3Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = store_of(database)
        fill(store, s3, "acme")
        self.call_in_pauses(monkeypatch, [lambda: None, lambda: fill(store, s3, "acme")])
        new_remover(store, s3)(batch(deleted()))
        assert sort_keys(database, "acme") == RETAINED_SORT_KEYS
        assert removal_payload(database)["data"]["objects"] == 6

    def test_publishes_nothing_before_the_index_has_caught_up(
        self, database: DynamoDBClient, s3: S3Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lagging = LaggingIndexClient(database)
        store = store_of(lagging)
        fill(store, s3, "acme")
        self.call_in_pauses(monkeypatch, [])
        assert new_remover(store, s3)(batch(deleted()), EndingContext())["batchItemFailures"]
        assert not any(key.startswith("OUTBOX#") for key in sort_keys(database, "acme"))
        self.call_in_pauses(monkeypatch, [lambda: None, lambda: None, lagging.catch_up])
        assert new_remover(store, s3)(batch(deleted())) == {"batchItemFailures": []}
        assert sort_keys(database, "acme") == RETAINED_SORT_KEYS

    def test_removes_a_late_write_that_the_index_shows_after_older_rows(
        self, database: DynamoDBClient, s3: S3Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lagging = LaggingIndexClient(database)
        store = store_of(lagging)
        fill(store, s3, "acme")
        lagging.catch_up()
        self.call_in_pauses(
            monkeypatch,
            [lambda: None, lambda: write_late(lagging, store, s3), lambda: None, lambda: None, lagging.catch_up],
        )
        assert new_remover(store, s3)(batch(deleted())) == {"batchItemFailures": []}
        assert sort_keys(database, "acme") == RETAINED_SORT_KEYS

    def test_ignores_marks_of_an_earlier_delivery(
        self, database: DynamoDBClient, s3: S3Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lagging = LaggingIndexClient(database)
        store = store_of(lagging)
        self.call_in_pauses(monkeypatch, [])
        assert new_remover(store, s3)(batch(deleted()), EndingContext())["batchItemFailures"]
        self.call_in_pauses(
            monkeypatch,
            [lambda: None, lambda: write_late(lagging, store, s3), lambda: None, lambda: None, lagging.catch_up],
        )
        assert new_remover(store, s3)(batch(deleted())) == {"batchItemFailures": []}
        assert sort_keys(database, "acme") == RETAINED_SORT_KEYS

    def test_removes_external_data_once_after_the_last_write(
        self, database: DynamoDBClient, s3: S3Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lagging, outside = LaggingIndexClient(database), list[str]()
        store = store_of(lagging)
        fill(store, s3, "acme")
        self.call_in_pauses(
            monkeypatch,
            [lambda: None, lambda: outside.append("written"), lambda: fill(store, s3, "acme"), lagging.catch_up],
        )
        consumer = remover("things", store=lambda: store, partitions=TENANT_PARTITIONS, remove_outside=outside.append)
        assert consumer(batch(deleted())) == {"batchItemFailures": []}
        assert outside == ["written", "acme"]

    def test_removes_a_quarantined_item_without_a_list_entry(self, database: DynamoDBClient, s3: S3Client) -> None:
        store = store_of(database)
        fill(store, s3, "acme")
        key = Key(SLICE.key("acme", "LONELY", "1"), "LONELY")
        transaction = Transaction("acme")
        transaction.put({**key.attributes, "due_pk": SLICE.due_key("LONELY"), "due_sk": to_text(NOW)})
        transaction.put(Key(key.pk, "BESIDE").attributes)
        store.commit(transaction)
        queue = DueQueue(store, DueIndex(SLICE, "LONELY"))
        for tries in range(MAX_FAILURES):
            [entry] = queue.entries(now=NOW + timedelta(minutes=16 * tries))
            record_failure(queue, entry, {}, now=NOW + timedelta(minutes=16 * tries), is_outage=False)
        assert list_quarantined(store)
        new_remover(store, s3)(batch(deleted()))
        assert (sort_keys(database, "acme"), list_quarantined(store)) == (RETAINED_SORT_KEYS, [])

    def call_in_pauses(self, monkeypatch: pytest.MonkeyPatch, callbacks: list[Callable[[], None]]) -> None:
        """Call a function in each pause of the removal."""

        def pause(_: float) -> None:
            if callbacks:
                callbacks.pop(0)()

        monkeypatch.setattr("shared.removal.time.sleep", pause)


class EndingContext:
    """The context of an invocation whose time ends soon."""

    def get_remaining_time_in_millis(self) -> int:
        return int(MARGIN_S * 1000) + 500


class LaggingIndexClient:
    """A client whose `list` index shows rows as they were when it caught up."""

    def __init__(self, client: DynamoDBClient) -> None:
        self._client = client
        self.hidden: dict[tuple[str, str], Any] = {}
        """The rows that were written since then, with the sort keys that the index still shows; None for none."""

    def catch_up(self) -> None:
        self.hidden.clear()

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's
        for action in arguments["TransactItems"]:
            if item := action.get("Put", {}).get("Item"):
                key = {name: item[name] for name in ("PK", "SK")}
                found = self._client.get_item(TableName=os.environ[SLICE.table.variable], Key=key)
                self.hidden.setdefault((item["PK"]["S"], item["SK"]["S"]), found.get("Item", {}).get("list_sk"))
        return self._client.transact_write_items(**arguments)

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's
        response = self._client.query(**arguments)
        if "IndexName" in arguments:
            return {**response, "Items": [visible for item in response["Items"] if (visible := self._as_shown(item))]}
        return response

    def _as_shown(self, item: dict[str, Any]) -> dict[str, Any] | None:
        list_sk = self.hidden.get((item["PK"]["S"], item["SK"]["S"]), item["list_sk"])
        return {**item, "list_sk": list_sk} if list_sk else None

    def __getattr__(self, operation: str) -> Any:  # noqa: ANN401 — botocore's
        return getattr(self._client, operation)


def write_late(lagging: LaggingIndexClient, store: Store, s3: S3Client) -> None:
    """Write rows that the index does not show yet, though it shows everything older."""
    lagging.catch_up()
    fill(store, s3, "acme")


class FunctionKilled(Exception):
    """The function was killed."""


class CrashingClient:
    """A client whose function is killed after a number of writes."""

    def __init__(self, client: DynamoDBClient, calls: int) -> None:
        self._client, self._calls = client, calls

    def __getattr__(self, operation: str) -> Any:  # noqa: ANN401 — botocore's
        call = getattr(self._client, operation)
        if operation in {"get_item", "query"}:
            return call

        def counted(**arguments: Any) -> Any:  # noqa: ANN401 — as above
            self._calls -= 1
            if self._calls < 0:
                raise FunctionKilled
            return call(**arguments)

        return counted


class TestLateEvents:
    def test_of_a_deleted_tenant_are_dropped(self, database: DynamoDBClient, s3: S3Client) -> None:
        store = store_of(database)
        new_remover(store, s3)(batch(deleted()))
        consumer = EventConsumer("things.consumer", is_deleted=TenantAccessCopies(store).is_deleted)
        received: list[str] = []

        @consumer.on(TenantDeleted)
        def handle(event: Event[TenantDeleted], _: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]  # registered
            received.append(event.tenant_id)

        assert consumer(batch(deleted("acme"), deleted("acme2"))) == {"batchItemFailures": []}
        assert received == ["acme2"]

    def test_of_an_existing_tenant_use_the_cached_lookup(self) -> None:
        lookups: list[str] = []

        def is_deleted(tenant_id: str) -> bool:
            lookups.append(tenant_id)
            return tenant_id == "gone"

        consumer = EventConsumer("things.consumer", is_deleted=is_deleted)

        @consumer.on(TenantDeleted)
        def handle(_event: Event[TenantDeleted], _delivery: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]  # registered
            """Ignore the event."""

        with time_machine.travel(NOW, tick=False) as clock:
            for _ in range(3):
                consumer(batch(deleted("acme"), deleted("gone")))
            assert lookups.count("acme") == 1
            assert lookups.count("gone") == 3
            clock.shift(EXISTENCE_CACHE_LIFETIME)
            consumer(batch(deleted("acme")))
            assert lookups.count("acme") == 2


class TestUnlistedRows:
    @pytest.mark.parametrize("calls", range(1, 4))
    def test_are_removed_after_a_crash(self, database: DynamoDBClient, s3: S3Client, calls: int) -> None:
        store = store_of(database)
        fill(store, s3, "acme")
        transaction = Transaction("acme")
        for number in range(30):
            transaction.put(Key(SLICE.key("acme", "ONE", str(number)), "BESIDE").attributes)
        store.commit(transaction)
        new_remover(store_of(CrashingClient(database, calls)), s3)(batch(deleted()))
        new_remover(store, s3)(batch(deleted()))
        assert sort_keys(database, "acme") == RETAINED_SORT_KEYS
