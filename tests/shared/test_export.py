"""An export has everything of one tenant once, in parts, whatever stops it in the middle."""

import gzip
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from types_boto3_dynamodb import DynamoDBClient
from types_boto3_s3 import S3Client

from shared.declaration import exports_of
from shared.events.catalogue import CATALOGUE
from shared.events.envelope import Event, happened, parse
from shared.events.tenants import TenantDataExported, TenantExportRequested, TenantPartExported
from shared.export.exporter import exporter
from shared.export.part import Size
from shared.messaging.consumer import EventConsumer
from shared.removal import remover
from shared.storage.credentials import TenantCredentials
from shared.storage.depot import Depot
from shared.storage.items import Key
from shared.storage.objects import Artifacts
from shared.storage.store import Store
from tests.messages import batch
from tests.shared.test_removal import NOW, SLICE, TRACES, Dying, deleted, fill, make_bucket, make_database, store_of
from tests.tables import BUCKET

__all__ = ["make_bucket", "make_database"]

EXPORT = "xpt_1"
SMALL = Size(rows=20)
ROWS = 30 + 3
"""What `fill` makes that is exported: neither copies, nor marks, nor records of keys."""


def requested(tenant_id: str = "acme") -> Event[TenantExportRequested]:
    said = TenantExportRequested(export_id=EXPORT)
    return happened(said, event_id=f"{EXPORT}:requested", tenant_id=tenant_id, subject=EXPORT, seq=1, at=NOW)


def export(store: Store, s3: Any, *, size: Size = SMALL) -> EventConsumer:  # noqa: ANN401 — botocore makes clients from data
    depot = Depot(s3, BUCKET, folders=("things",))
    return exporter("things", store=lambda: store, depot=lambda: depot, traces=TRACES, size=size)


def put(s3: S3Client, name: str, body: bytes, *, tenant_id: str = "acme") -> None:
    s3.put_object(Bucket=BUCKET, Key=f"tenants/{tenant_id}/things/{name}", Body=body)


def outbox(store: Store, database: DynamoDBClient) -> Iterator[Event[Any]]:
    """What was said, each once."""
    for item in database.scan(TableName=os.environ[SLICE.table.variable])["Items"]:
        if "event" in item:
            store.remove([Key(str(item["PK"].get("S")), str(item["SK"].get("S")))])
            said = json.loads(str(item["event"].get("S")))
            yield parse(CATALOGUE[said["type"]], said)


def run_to_the_end(
    consumer: EventConsumer, store: Store, database: DynamoDBClient, first: Event[Any] | None = None
) -> Event[TenantDataExported]:
    """Deliver what is said until it is complete."""
    message: Event[Any] = first or requested()
    while message.type != TenantDataExported.TYPE:
        assert consumer(batch(message)) == {"batchItemFailures": []}
        [message] = outbox(store, database)
    return message


def lines_in(s3: S3Client, complete: Event[TenantDataExported]) -> list[dict[str, Any]]:
    """All lines of all files, in their order."""
    index = json.loads(s3.get_object(Bucket=BUCKET, Key=complete.data.index_key)["Body"].read())
    bodies = [s3.get_object(Bucket=BUCKET, Key=file["key"])["Body"].read() for file in index["files"]]
    found = [[json.loads(line) for line in gzip.decompress(body).splitlines()] for body in bodies]
    assert [len(some) for some in found] == [file["lines"] for file in index["files"]]
    assert (complete.data.files, complete.data.lines) == (len(bodies), sum(len(some) for some in found))
    return [line for some in found for line in some]


def keys_in(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted(tuple(line["key"]) for line in lines if "key" in line)


class TestExporter:
    @pytest.mark.parametrize("size", [Size(), SMALL, Size(rows=1), Size(text_bytes=1)])
    def test_writes_every_row_and_document_once(self, database: DynamoDBClient, s3: S3Client, size: Size) -> None:
        store = store_of(database)
        for tenant_id in ("acme", "acme2"):
            fill(store, s3, tenant_id)
            put(s3, "2.json", json.dumps({"of": tenant_id}).encode(), tenant_id=tenant_id)
        complete = run_to_the_end(export(store, s3, size=size), store, database)
        lines = lines_in(s3, complete)
        own = [("", "BOOK#1"), ("", "THING#1"), ("MONTH", "1"), *((f"ONE#{number}", "ONE") for number in range(30))]
        assert keys_in(lines) == sorted(own)
        assert [line for line in lines if "object" in line] == [{"object": "things/2.json", "document": {"of": "acme"}}]
        assert len(lines) == ROWS + 1

    def test_goes_through_a_large_folder_page_by_page(self, database: DynamoDBClient, s3: S3Client) -> None:
        for number in range(205):
            put(s3, f"{number:03}.json", b"{}")
        store = store_of(database)
        complete = run_to_the_end(export(store, s3, size=Size(rows=1_000)), store, database)
        assert [line["object"] for line in lines_in(s3, complete)] == [
            f"things/{number:03}.json" for number in range(205)
        ]
        assert complete.data.files == 3

    def test_writes_archives_record_by_record_and_what_is_no_json_as_it_is(
        self, database: DynamoDBClient, s3: S3Client
    ) -> None:
        put(s3, "1.jsonl.gz", gzip.compress(b'{"a": 1}\n{"a": 2}\n'))
        put(s3, "2.bin", b"\xff\xfe")
        store = store_of(database)
        assert lines_in(s3, run_to_the_end(export(store, s3), store, database)) == [
            {"object": "things/1.jsonl.gz", "record": {"a": 1}},
            {"object": "things/1.jsonl.gz", "record": {"a": 2}},
            {"object": "things/2.bin", "base64": "//4="},
        ]

    def test_of_a_tenant_that_has_nothing_is_complete_without_a_file(
        self, database: DynamoDBClient, s3: S3Client
    ) -> None:
        store = store_of(database)
        complete = run_to_the_end(export(store, s3), store, database)
        assert (complete.data.files, complete.data.lines, lines_in(s3, complete)) == (0, 0, [])

    def test_the_same_message_again_changes_nothing(self, database: DynamoDBClient, s3: S3Client) -> None:
        store = store_of(database)
        fill(store, s3, "acme")
        consumer = export(store, s3)
        heard: list[Event[Any]] = [requested()]
        while heard[-1].type != TenantDataExported.TYPE:
            consumer(batch(heard[-1]))
            heard += outbox(store, database)
        before = s3.list_objects_v2(Bucket=BUCKET)["KeyCount"]
        for message in heard[:-1]:
            assert consumer(batch(message)) == {"batchItemFailures": []}
        assert list(outbox(store, database)) == []
        assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == before

    def test_leaves_the_parts_of_other_services_to_them(self, database: DynamoDBClient, s3: S3Client) -> None:
        store = store_of(database)
        said = TenantPartExported(service="others", export_id=EXPORT, files=0)
        other = happened(said, event_id="e", tenant_id="acme", subject=EXPORT, seq=1, at=NOW)
        assert export(store, s3)(batch(other)) == {"batchItemFailures": []}
        assert list(outbox(store, database)) == []

    @pytest.mark.parametrize("place", range(3))
    def test_a_part_that_fails_is_tried_again(self, database: DynamoDBClient, s3: S3Client, place: int) -> None:
        store = store_of(database)
        fill(store, s3, "acme")
        message: Event[Any] = requested()
        for number in range(place + 1):
            if number == place:
                killed = export(store_of(Dying(database, 0)), s3)(batch(message))
                assert killed == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
            else:
                export(store, s3, size=Size(rows=1))(batch(message))
                [message] = outbox(store, database)
        complete = run_to_the_end(export(store, s3), store, database, message)
        assert len(keys_in(lines_in(s3, complete))) == ROWS

    def test_of_two_who_write_the_same_part_one_counts(self, database: DynamoDBClient, s3: S3Client) -> None:
        store = store_of(database)
        fill(store, s3, "acme")

        def be_faster() -> None:
            put(s3, "new.json", b"{}")
            assert export(store, s3, size=Size())(batch(requested())) == {"batchItemFailures": []}

        slower = export(store, Then(s3, be_faster), size=Size())
        assert slower(batch(requested())) == {"batchItemFailures": []}
        [complete] = outbox(store, database)
        assert len(lines_in(s3, complete)) == ROWS + 1

    def test_reaches_data_with_the_tenants_own_credentials(self, database: DynamoDBClient, s3: Any) -> None:  # noqa: ANN401 — as above
        store, tokens = store_of(database), FakeTokens()
        credentials = TenantCredentials(lambda: tokens, role_arn="arn:aws:iam::123456789012:role/data")

        def depot() -> Depot:
            credentials.keys()
            return Depot(s3, BUCKET)

        consumer = exporter("things", store=lambda: store, depot=depot, traces=TRACES)
        assert consumer(batch(requested())) == {"batchItemFailures": []}
        assert tokens.tenants == ["acme"]


class FakeTokens:
    """Remembers for whom credentials were asked."""

    def __init__(self) -> None:
        self.tenants: list[str] = []

    def assume_role(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's
        self.tenants += [tag["Value"] for tag in arguments["Tags"]]
        answer = {"AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c", "Expiration": NOW}
        return {"Credentials": answer}


class Then:
    """A bucket after whose next write somebody else does something."""

    def __init__(self, client: S3Client, then: Callable[[], object]) -> None:
        self._client, self._then = client, then

    def put_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's
        answer = self._client.put_object(**arguments)
        then, self._then = self._then, lambda: None
        then()
        return answer

    def __getattr__(self, operation: str) -> Any:  # noqa: ANN401 — as above
        return getattr(self._client, operation)


class TestDeletion:
    def test_removes_exports_too(self, database: DynamoDBClient, s3: Any) -> None:  # noqa: ANN401 — as above
        store = store_of(database)
        fill(store, s3, "acme")
        run_to_the_end(export(store, s3), store, database)

        def empty(tenant_id: str) -> int:
            return Artifacts(s3, bucket=BUCKET).delete_below(tenant_id, exports_of("things"))

        remove = remover("things", store=lambda: store, traces=TRACES, empty_folder=empty)
        assert remove(batch(deleted())) == {"batchItemFailures": []}
        assert not s3.list_object_versions(Bucket=BUCKET, Prefix="tenants/acme/exports-").get("Versions")
        rows = database.scan(TableName=os.environ[SLICE.table.variable])["Items"]
        assert [row for row in rows if "#EXPORTS" in str(row["PK"].get("S"))] == []

    def test_in_the_middle_of_a_part_leaves_nothing(self, database: DynamoDBClient, s3: S3Client) -> None:
        store = store_of(database)
        fill(store, s3, "acme")
        remove = remover("things", store=lambda: store, traces=TRACES)
        after_write = Then(s3, lambda: remove(batch(deleted())))
        assert export(store, after_write)(batch(requested())) == {"batchItemFailures": []}
        assert not s3.list_object_versions(Bucket=BUCKET, Prefix="tenants/acme/exports-").get("Versions")
        assert [event.type for event in outbox(store, database)] == ["tenant.data_removed.v1"]
