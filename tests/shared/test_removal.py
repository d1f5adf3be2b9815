"""Nothing of a deleted tenant is left in a slice but what is to stay, whatever stops the removal in the middle."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from types_boto3_dynamodb import DynamoDBClient
from types_boto3_s3 import S3Client

from shared.copies.tenant_access import TenantAccessCopies, access_key
from shared.declaration import Slice, Table
from shared.events.envelope import Event, happened
from shared.events.tenants import TenantDeleted
from shared.messaging.consumer import LIVES, EventConsumer
from shared.removal import SETTLES_S, remover
from shared.storage.clients import own_client
from shared.storage.idempotency import Once
from shared.storage.inbox import Delivery
from shared.storage.items import Key
from shared.storage.objects import Artifacts
from shared.storage.store import Store
from shared.storage.traces import Traces
from shared.storage.transaction import Transaction
from tests.messages import batch
from tests.tables import BUCKET, REGION, tables
from tests.tenants import tenant_created

SLICE = Slice("THINGS", Table.ENTITIES)
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TRACES = Traces(lists=("LISTED",), partitions=lambda tenant_id, _: (SLICE.key(tenant_id, "MONTH"),), keeps=("BOOK#",))


@pytest.fixture(name="database")
def make_database() -> Iterator[DynamoDBClient]:
    with tables() as client:
        yield client


@pytest.fixture(name="s3")
def make_bucket(database: DynamoDBClient) -> S3Client:  # noqa: ARG001 — it begins the mock
    client: S3Client = own_client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return client


def store_of(client: Any) -> Store:  # noqa: ANN401 — botocore makes clients from data
    return Store(client, table=os.environ[SLICE.table.variable], owned=SLICE, sleep=lambda _: None)


def fill(store: Store, s3: S3Client, tenant_id: str) -> None:
    """One row of each kind, and objects with an older version and a deleted one."""
    TenantAccessCopies(store).keep(tenant_created(tenant_id))
    transaction = Transaction(tenant_id)
    Once(tenant_id, "user:1 POST", "key", "hash", NOW).remember(transaction, SLICE, resource_id="1")
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


def left(database: DynamoDBClient, tenant_id: str) -> list[dict[str, Any]]:
    own = f"TENANT#{tenant_id}#"
    items = database.scan(TableName=os.environ[SLICE.table.variable])["Items"]
    return [item for item in items if str(item["PK"].get("S")).startswith(own)]


def sort_keys(database: DynamoDBClient, tenant_id: str) -> list[str]:
    return sorted(str(item["SK"].get("S")) for item in left(database, tenant_id))


def deleted(tenant_id: str = "acme") -> Event[TenantDeleted]:
    event_id = f"{tenant_id}:deleted"
    return happened(TenantDeleted(), event_id=event_id, tenant_id=tenant_id, subject=tenant_id, seq=9, at=NOW)


def removal(store: Store, s3: Any) -> EventConsumer:  # noqa: ANN401 — as above
    objects = Artifacts(s3, bucket=BUCKET)

    def empty_folder(tenant_id: str) -> int:
        return objects.delete_below(tenant_id, "things")

    return remover("things", store=lambda: store, traces=TRACES, empty_folder=empty_folder)


def word(database: DynamoDBClient) -> dict[str, Any]:
    [item] = [item for item in left(database, "acme") if str(item["SK"].get("S")).startswith("OUTBOX#")]
    return json.loads(str(item["event"].get("S")))


STAYS = ["BOOK#1", "COPY#TENANT", "OUTBOX#acme:things:data_removed"]


class TestRemover:
    def test_leaves_the_tombstone_and_what_is_kept_and_says_so(self, database: DynamoDBClient, s3: S3Client) -> None:
        store = store_of(database)
        fill(store, s3, "acme")
        assert removal(store, s3)(batch(deleted())) == {"batchItemFailures": []}
        assert sort_keys(database, "acme") == STAYS
        assert s3.list_object_versions(Bucket=BUCKET, Prefix="tenants/acme/things/").get("Versions", []) == []
        said = word(database)
        assert (said["type"], said["subject"]) == ("tenant.data_removed.v1", "things")
        assert said["data"] == {"service": "things", "items": 34, "objects": 3}

    def test_touches_nobody_else(self, database: DynamoDBClient, s3: S3Client) -> None:
        store = store_of(database)
        for tenant_id in ("acme", "acme2"):
            fill(store, s3, tenant_id)
        before = left(database, "acme2")
        removal(store, s3)(batch(deleted()))
        assert left(database, "acme2") == before
        assert s3.list_objects_v2(Bucket=BUCKET, Prefix="tenants/acme/others/")["KeyCount"] == 1

    def test_a_second_delivery_says_nothing_more(self, database: DynamoDBClient, s3: S3Client) -> None:
        store = store_of(database)
        fill(store, s3, "acme")
        for _ in range(2):
            removal(store, s3)(batch(deleted()))
        assert sort_keys(database, "acme") == STAYS

    def test_waits_behind_its_tombstone_for_longer_than_anybody_takes_a_tenant_for_living(
        self, database: DynamoDBClient, s3: S3Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = store_of(database)
        fill(store, s3, "acme")
        waited: list[float] = []

        def pause(seconds: float) -> None:
            waited.append(seconds)
            assert TenantAccessCopies(store).is_deleted("acme")
            assert len(sort_keys(database, "acme")) > len(STAYS)

        monkeypatch.undo()
        monkeypatch.setattr("shared.removal.time.sleep", pause)
        removal(store, s3)(batch(deleted()))
        assert waited == [SETTLES_S]
        assert 3 * LIVES.total_seconds() <= SETTLES_S

    @pytest.mark.parametrize("calls", range(0, 12, 2))
    def test_goes_on_where_it_was_killed(self, database: DynamoDBClient, s3: S3Client, calls: int) -> None:
        store = store_of(database)
        fill(store, s3, "acme")
        killed = removal(store_of(Dying(database, calls)), s3)(batch(deleted()))
        assert killed == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
        removal(store, s3)(batch(deleted()))
        assert sort_keys(database, "acme") == STAYS
        assert word(database)["data"]["service"] == "things"

    def test_of_a_tenant_that_it_never_heard_of_a_tombstone_is_left(
        self, database: DynamoDBClient, s3: S3Client
    ) -> None:
        store = store_of(database)
        removal(store, s3)(batch(deleted()))
        TenantAccessCopies(store).keep(tenant_created("acme"))
        assert TenantAccessCopies(store).is_deleted("acme")
        assert store.get(access_key(SLICE, "acme"))


class Killed(Exception):
    """The function's end."""


class Dying:
    """A client whose function ends after so many writes."""

    def __init__(self, client: DynamoDBClient, calls: int) -> None:
        self._client, self._calls = client, calls

    def __getattr__(self, operation: str) -> Any:  # noqa: ANN401 — botocore's
        call = getattr(self._client, operation)
        if operation in {"get_item", "query"}:
            return call

        def counted(**arguments: Any) -> Any:  # noqa: ANN401 — as above
            self._calls -= 1
            if self._calls < 0:
                raise Killed
            return call(**arguments)

        return counted


class TestLateEvents:
    def test_of_a_deleted_tenant_are_dropped_and_of_others_not(self, database: DynamoDBClient, s3: S3Client) -> None:
        store = store_of(database)
        removal(store, s3)(batch(deleted()))
        consumer = EventConsumer("things.consumer", is_deleted=TenantAccessCopies(store).is_deleted)
        heard: list[str] = []

        @consumer.on(TenantDeleted)
        def hear(event: Event[TenantDeleted], _: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]  # registered
            heard.append(event.tenant_id)

        assert consumer(batch(deleted("acme"), deleted("acme2"))) == {"batchItemFailures": []}
        assert heard == ["acme2"]

    def test_of_a_tenant_that_lived_a_moment_ago_are_heard_without_looking_again(self) -> None:
        looked: list[str] = []

        def look(tenant_id: str) -> bool:
            looked.append(tenant_id)
            return tenant_id == "gone"

        consumer = EventConsumer("things.consumer", is_deleted=look)

        @consumer.on(TenantDeleted)
        def hear(_event: Event[TenantDeleted], _delivery: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]  # registered
            """Nothing is done."""

        with time_machine.travel(NOW, tick=False) as clock:
            for _ in range(3):
                consumer(batch(deleted("acme"), deleted("gone")))
            assert looked.count("acme") == 1
            assert looked.count("gone") == 3
            clock.shift(LIVES)
            consumer(batch(deleted("acme")))
            assert looked.count("acme") == 2
