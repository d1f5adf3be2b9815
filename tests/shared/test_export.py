"""An export contains all data of one tenant exactly once, in parts, even after interruptions."""

import gzip
import io
import json
import os
import random
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from types_boto3_dynamodb import DynamoDBClient
from types_boto3_s3 import S3Client

from shared.aws.credentials import TenantCredentials
from shared.declaration import exports_of
from shared.events.catalog import CATALOG
from shared.events.envelope import Event, new_event, parse
from shared.events.tenants import TenantDataExported, TenantExportRequested, TenantPartExported
from shared.export.exporter import exporter
from shared.export.part import Size, next_part
from shared.export.sources import PAGE_BYTES, documents_of, rows_of
from shared.messaging.consumer import EventConsumer
from shared.removal import remover
from shared.storage.artifact_store import ArtifactStore
from shared.storage.items import Key
from shared.storage.objects import Artifacts
from shared.storage.store import Store
from shared.storage.transaction import Transaction
from tests.messages import batch
from tests.shared.test_removal import (
    NOW,
    SLICE,
    TENANT_PARTITIONS,
    CrashingClient,
    deleted,
    fill,
    make_bucket,
    make_database,
    store_of,
)
from tests.tables import BUCKET

__all__ = ["make_bucket", "make_database"]

EXPORT = "xpt_1"
SMALL_SIZE = Size(rows=20)
EXPORTED_ROWS = 30 + 3
"""The number of exported rows that `fill` creates, without copies, inbox marks and idempotency records."""


def export_requested(tenant_id: str = "acme") -> Event[TenantExportRequested]:
    payload = TenantExportRequested(export_id=EXPORT)
    return new_event(payload, event_id=f"{EXPORT}:requested", tenant_id=tenant_id, subject=EXPORT, seq=1, at=NOW)


def new_exporter(store: Store, s3: Any, *, size: Size = SMALL_SIZE) -> EventConsumer:  # noqa: ANN401 — botocore makes clients from data
    artifact_store = ArtifactStore(s3, BUCKET, folders=("things",))
    return exporter(
        "things", store=lambda: store, artifact_store=lambda: artifact_store, partitions=TENANT_PARTITIONS, size=size
    )


def put(s3: S3Client, name: str, body: bytes, *, tenant_id: str = "acme") -> None:
    s3.put_object(Bucket=BUCKET, Key=f"tenants/{tenant_id}/things/{name}", Body=body)


def outbox(store: Store, database: DynamoDBClient) -> Iterator[Event[Any]]:
    """Yield the events in the outbox and remove them."""
    for item in database.scan(TableName=os.environ[SLICE.table.variable])["Items"]:
        if "event" in item:
            store.remove([Key(str(item["PK"].get("S")), str(item["SK"].get("S")))])
            payload = json.loads(str(item["event"].get("S")))
            yield parse(CATALOG[payload["type"]], payload)


def run_to_completion(
    consumer: EventConsumer, store: Store, database: DynamoDBClient, first: Event[Any] | None = None
) -> Event[TenantDataExported]:
    """Deliver the published events until the export is complete."""
    message: Event[Any] = first or export_requested()
    while message.type != TenantDataExported.TYPE:
        assert consumer(batch(message)) == {"batchItemFailures": []}
        [message] = outbox(store, database)
    return message


def lines_in(s3: S3Client, complete: Event[TenantDataExported]) -> list[dict[str, Any]]:
    """Return the lines of all files in order."""
    index = json.loads(s3.get_object(Bucket=BUCKET, Key=complete.data.index_key)["Body"].read())
    bodies = [s3.get_object(Bucket=BUCKET, Key=file["key"])["Body"].read() for file in index["files"]]
    found = [[json.loads(line) for line in gzip.decompress(body).splitlines()] for body in bodies]
    assert [len(file_lines) for file_lines in found] == [file["lines"] for file in index["files"]]
    assert (complete.data.files, complete.data.lines) == (len(bodies), sum(len(file_lines) for file_lines in found))
    return [line for file_lines in found for line in file_lines]


def keys_in(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted(tuple(line["key"]) for line in lines if "key" in line)


class TestExporter:
    @pytest.mark.parametrize("size", [Size(), SMALL_SIZE, Size(rows=1), Size(text_bytes=1)])
    def test_writes_every_row_and_document_once(self, database: DynamoDBClient, s3: S3Client, size: Size) -> None:
        store = store_of(database)
        for tenant_id in ("acme", "acme2"):
            fill(store, s3, tenant_id)
            put(s3, "2.json", json.dumps({"of": tenant_id}).encode(), tenant_id=tenant_id)
        complete = run_to_completion(new_exporter(store, s3, size=size), store, database)
        lines = lines_in(s3, complete)
        expected_keys = [
            ("", "BOOK#1"),
            ("", "THING#1"),
            ("MONTH", "1"),
            *((f"ONE#{number}", "ONE") for number in range(30)),
        ]
        assert keys_in(lines) == sorted(expected_keys)
        assert [line for line in lines if "object" in line] == [{"object": "things/2.json", "document": {"of": "acme"}}]
        assert len(lines) == EXPORTED_ROWS + 1

    def test_pages_through_a_large_folder(self, database: DynamoDBClient, s3: S3Client) -> None:
        for number in range(205):
            put(s3, f"{number:03}.json", b"{}")
        store = store_of(database)
        complete = run_to_completion(new_exporter(store, s3, size=Size(rows=1_000)), store, database)
        assert [line["object"] for line in lines_in(s3, complete)] == [
            f"things/{number:03}.json" for number in range(205)
        ]
        assert complete.data.files == 3

    def test_writes_archives_by_record_and_other_files_as_base64(self, database: DynamoDBClient, s3: S3Client) -> None:
        put(s3, "1.jsonl.gz", gzip.compress(b'{"a": 1}\n{"a": 2}\n'))
        put(s3, "2.bin", b"\xff\xfe")
        store = store_of(database)
        assert lines_in(s3, run_to_completion(new_exporter(store, s3), store, database)) == [
            {"object": "things/1.jsonl.gz", "record": {"a": 1}},
            {"object": "things/1.jsonl.gz", "record": {"a": 2}},
            {"object": "things/2.bin", "base64": "//4="},
        ]

    def test_ends_a_part_with_the_entry_that_fills_it(self, database: DynamoDBClient, s3: S3Client) -> None:
        store, large = store_of(database), "x" * 390_000
        for number in range(25):
            transaction = Transaction("acme")
            listed = {"list_pk": SLICE.key("acme", "LISTED"), "list_sk": f"{number:03d}"}
            key = Key(SLICE.key("acme", "ONE", str(number)), "ONE")
            transaction.put({**key.attributes, **listed, "text": large})
            store.commit(transaction)
            put(s3, f"{number:03}.json", json.dumps({"text": large}).encode())
        sources = [*rows_of(store, TENANT_PARTITIONS, "acme", NOW), documents_of(s3, BUCKET, "acme", "things")]
        parts = [next_part(sources, None, Size(text_bytes=1))]
        while parts[-1].next_cursor:
            parts.append(next_part(sources, parts[-1].next_cursor, Size(text_bytes=1)))
        lines = [json.loads(line) for part in parts for line in gzip.decompress(part.body).splitlines()]
        assert keys_in(lines) == sorted((f"ONE#{number}", "ONE") for number in range(25))
        assert [line["object"] for line in lines if "object" in line] == [f"things/{n:03}.json" for n in range(25)]
        # moto ends a page of the index earlier, because it counts the size of the whole rows.
        assert [part.lines for part in parts][-3:] == [11, 11, 3]

    def test_completes_without_a_file_for_a_tenant_without_data(self, database: DynamoDBClient, s3: S3Client) -> None:
        store = store_of(database)
        complete = run_to_completion(new_exporter(store, s3), store, database)
        assert (complete.data.files, complete.data.lines, lines_in(s3, complete)) == (0, 0, [])

    def test_ignores_a_duplicate_message(self, database: DynamoDBClient, s3: S3Client) -> None:
        store = store_of(database)
        fill(store, s3, "acme")
        consumer = new_exporter(store, s3)
        received: list[Event[Any]] = [export_requested()]
        while received[-1].type != TenantDataExported.TYPE:
            consumer(batch(received[-1]))
            received += outbox(store, database)
        before = s3.list_objects_v2(Bucket=BUCKET)["KeyCount"]
        for message in received[:-1]:
            assert consumer(batch(message)) == {"batchItemFailures": []}
        assert list(outbox(store, database)) == []
        assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == before

    def test_ignores_parts_of_other_services(self, database: DynamoDBClient, s3: S3Client) -> None:
        store = store_of(database)
        payload = TenantPartExported(service="others", export_id=EXPORT, files=0)
        other = new_event(payload, event_id="e", tenant_id="acme", subject=EXPORT, seq=1, at=NOW)
        assert new_exporter(store, s3)(batch(other)) == {"batchItemFailures": []}
        assert list(outbox(store, database)) == []

    @pytest.mark.parametrize("step", range(3))
    def test_retries_a_failed_part(self, database: DynamoDBClient, s3: S3Client, step: int) -> None:
        store = store_of(database)
        fill(store, s3, "acme")
        message: Event[Any] = export_requested()
        for number in range(step + 1):
            if number == step:
                result = new_exporter(store_of(CrashingClient(database, 0)), s3)(batch(message))
                assert result == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
            else:
                new_exporter(store, s3, size=Size(rows=1))(batch(message))
                [message] = outbox(store, database)
        complete = run_to_completion(new_exporter(store, s3), store, database, message)
        assert len(keys_in(lines_in(s3, complete))) == EXPORTED_ROWS

    def test_counts_one_of_two_concurrent_writes_of_a_part(self, database: DynamoDBClient, s3: S3Client) -> None:
        store = store_of(database)
        fill(store, s3, "acme")

        def export_concurrently() -> None:
            put(s3, "new.json", b"{}")
            assert new_exporter(store, s3, size=Size())(batch(export_requested())) == {"batchItemFailures": []}

        slower = new_exporter(store, CallAfterWrite(s3, export_concurrently), size=Size())
        assert slower(batch(export_requested())) == {"batchItemFailures": []}
        [complete] = outbox(store, database)
        assert len(lines_in(s3, complete)) == EXPORTED_ROWS + 1

    def test_reads_data_with_the_tenants_credentials(self, database: DynamoDBClient, s3: Any) -> None:  # noqa: ANN401 — as above
        store, tokens = store_of(database), FakeTokens()
        credentials = TenantCredentials(lambda: tokens, role_arn="arn:aws:iam::123456789012:role/data")

        def artifact_store() -> ArtifactStore:
            credentials.keys()
            return ArtifactStore(s3, BUCKET)

        consumer = exporter("things", store=lambda: store, artifact_store=artifact_store, partitions=TENANT_PARTITIONS)
        assert consumer(batch(export_requested())) == {"batchItemFailures": []}
        assert tokens.tenants == ["acme"]


class FakeTokens:
    """A fake STS that records the tenants of the requested credentials."""

    def __init__(self) -> None:
        self.tenants: list[str] = []

    def assume_role(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's
        self.tenants += [tag["Value"] for tag in arguments["Tags"]]
        keys = {"AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c", "Expiration": NOW}
        return {"Credentials": keys}


class CallAfterWrite:
    """A bucket that calls a function after its next write."""

    def __init__(self, client: S3Client, callback: Callable[[], object]) -> None:
        self._client, self._callback = client, callback

    def put_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's
        keys = self._client.put_object(**arguments)
        callback, self._callback = self._callback, lambda: None
        callback()
        return keys

    def __getattr__(self, operation: str) -> Any:  # noqa: ANN401 — as above
        return getattr(self._client, operation)


class ManyDocuments:
    """A bucket with 100 documents of one megabyte that compress poorly."""

    def list_objects_v2(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's
        """Return all documents in one page."""
        keys = [f"tenants/acme/things/{number:03}.json" for number in range(100)]
        return {"Contents": [{"Key": key} for key in keys if key > arguments.get("StartAfter", "")]}

    def get_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Return a document, whose content differs from that of the others."""
        text = random.Random(arguments["Key"]).randbytes(512 * 1024).hex()  # noqa: S311 — nothing is secret
        return {"Body": io.BytesIO(json.dumps({"text": text}).encode())}


class TestMemory:
    def test_of_a_part_is_bounded(self) -> None:
        source = documents_of(ManyDocuments(), BUCKET, "acme", "things")
        size = Size(text_bytes=10 * 1024 * 1024)
        tracemalloc.start()
        try:
            part = next_part([source], None, size)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert part.next_cursor
        assert part.lines == 12
        assert peak < size.text_bytes + 5 * PAGE_BYTES


class TestDeletion:
    def test_removes_exports(self, database: DynamoDBClient, s3: Any) -> None:  # noqa: ANN401 — as above
        store = store_of(database)
        fill(store, s3, "acme")
        run_to_completion(new_exporter(store, s3), store, database)

        def empty(tenant_id: str) -> int:
            return Artifacts(s3, bucket=BUCKET).delete_below(tenant_id, exports_of("things"))

        remove = remover("things", store=lambda: store, partitions=TENANT_PARTITIONS, empty_folder=empty)
        assert remove(batch(deleted())) == {"batchItemFailures": []}
        assert not s3.list_object_versions(Bucket=BUCKET, Prefix="tenants/acme/exports-").get("Versions")
        rows = database.scan(TableName=os.environ[SLICE.table.variable])["Items"]
        assert [row for row in rows if "#EXPORTS" in str(row["PK"].get("S"))] == []

    def test_during_a_part_leaves_nothing(self, database: DynamoDBClient, s3: S3Client) -> None:
        store = store_of(database)
        fill(store, s3, "acme")
        remove = remover("things", store=lambda: store, partitions=TENANT_PARTITIONS)
        after_write = CallAfterWrite(s3, lambda: remove(batch(deleted())))
        assert new_exporter(store, after_write)(batch(export_requested())) == {"batchItemFailures": []}
        assert not s3.list_object_versions(Bucket=BUCKET, Prefix="tenants/acme/exports-").get("Versions")
        assert [event.type for event in outbox(store, database)] == ["tenant.data_removed.v1"]
