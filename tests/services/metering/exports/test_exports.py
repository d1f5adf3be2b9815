"""Tests of exports of the ledger."""

import csv
import io
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pytest
from botocore.exceptions import EndpointConnectionError

from services.metering import wiring
from services.metering.archive import operations as archiving
from services.metering.counters.domain.amounts import Dimensions
from services.metering.counters.domain.days import Days
from services.metering.counters.domain.hours import GRACE_PERIOD, HOUR
from services.metering.errors import ExportInterrupted, ExportTooLarge
from services.metering.exports.domain import (
    ATTEMPT_TIMEOUT,
    COLUMNS,
    FILE_VALIDITY,
    ExportFormat,
    ExportRequest,
    ExportStatus,
    LedgerExport,
)
from services.metering.exports.gateway.bucket import ExportBucket
from services.metering.exports.gateway.queue import ExportJob
from services.metering.exports.operations import requests as exporting
from services.metering.exports.operations import writer as export_writing
from services.metering.exports.table import OPERATORS, UsageExportTable
from services.metering.functions.operators import handler as app
from services.metering.ledger import operations as counting
from services.metering.ledger.domain.entries import Origin, UsageKind, unpriced_entry
from shared.aws.clients import own_client
from shared.errors import DependencyUnavailable
from shared.meters import Meter
from shared.storage.objects import Archives
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.gateway import claims, request
from tests.services.metering.archive.test_archive import DUE, ArchiveBucket
from tests.services.metering.fixtures import AT, close_due, count, used
from tests.services.metering.scripted import Scripted
from tests.tables import BUCKET, REGION

DAYS = Days(date(2026, 11, 1), date(2026, 12, 1))
EXPORT = "/v1/admin/usage/export"


class ExportsBucket(ArchiveBucket):
    """A bucket in memory that accepts multipart uploads."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: dict[int, bytes] = {}

    def create_multipart_upload(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Start an upload."""
        del arguments
        return {"UploadId": "upload"}

    def upload_part(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Store a part."""
        self.parts[arguments["PartNumber"]] = arguments["Body"]
        return {"ETag": f"part-{arguments['PartNumber']}"}

    def complete_multipart_upload(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Store the object of all parts."""
        named = arguments["MultipartUpload"]["Parts"]
        assert named == [{"PartNumber": number, "ETag": f"part-{number}"} for number in sorted(self.parts)]
        self.objects[arguments["Key"]] = b"".join(self.parts[number] for number in sorted(self.parts))

    def generate_presigned_url(self, method: str, **arguments: Any) -> str:  # noqa: ANN401 — as botocore's
        """Return a URL."""
        return f"https://{method}/{arguments['Params']['Key']}"


@dataclass
class ExportFixture:
    """The dependencies of exports, with a queue that delivers at once or later."""

    table: Scripted = field(default_factory=lambda: Scripted([]))
    objects: ExportsBucket = field(default_factory=ExportsBucket)
    queued: list[ExportJob] = field(default_factory=list[ExportJob])
    writes_at_once: bool = True
    is_broken: bool = False
    max_events: int = 1_000

    @property
    def store(self) -> Store:
        """The slice."""
        return self.table.store

    def put(self, export: LedgerExport) -> None:
        """See `ExportQueue.put`."""
        if self.is_broken:
            msg = "no queue"
            raise DependencyUnavailable(msg)
        self.queued.append(ExportJob.model_validate_json(ExportJob.of(export).model_dump_json()))
        if self.writes_at_once:
            self.write()

    def write(self) -> None:
        """Write the queued exports."""
        archives = Archives(self.objects, bucket=BUCKET)
        bucket = ExportBucket(self.objects, bucket=BUCKET, owner=OPERATORS)
        for job in self.queued:
            export_writing.write_export(
                self.store, archives, bucket, job.request, attempt=job.attempt, max_events=self.max_events
            )
        self.queued.clear()

    def request(self, export_request: ExportRequest, *, now: datetime = AT) -> LedgerExport:
        """Request an export, with a fake clock."""
        clock = itertools.count()
        return exporting.request_export(
            self.store, self, export_request, now=now, sleep=lambda _: None, monotonic=lambda: next(clock)
        )

    def written(self, export_request: ExportRequest, *, now: datetime = AT) -> bytes:
        """Request an export and return the file."""
        return self.objects.objects[f"tenants/_operators/{self.request(export_request, now=now).path}"]

    def rows(self, export_request: ExportRequest) -> list[dict[str, Any]]:
        """Request an export and return its JSON lines."""
        return [json.loads(line) for line in self.written(export_request).splitlines()]


@pytest.fixture
def exporter() -> ExportFixture:
    """Usage of two tenants, some of it in closed hours."""
    made = ExportFixture()
    count(made.store, *(used(f"run_{n}", at=AT + timedelta(seconds=n), cost_nano_usd=n or None) for n in range(3)))
    close_due(made.store, now=AT + 2 * HOUR)
    count(made.store, used("run_3", at=AT + HOUR), used("run_4", tenant_id="demo-org2", project_id="prj_1"), now=AT)
    return made


def export_request(
    format_: ExportFormat = ExportFormat.JSONL, *, tenant_id: str | None = None, days: Days = DAYS
) -> ExportRequest:
    """Return an export request."""
    return ExportRequest(days, tenant_id, format_)


class TestRequestExport:
    def test_returns_the_entries_of_all_tenants_newest_first(self, exporter: ExportFixture) -> None:
        rows = exporter.rows(export_request())
        assert [(row["tenant_id"], row["run_id"]) for row in rows] == [
            *(("demo-org", f"run_{number}") for number in (3, 2, 1, 0)),
            ("demo-org2", "run_4"),
        ]
        assert list(rows[0]) == [column.name for column in COLUMNS]
        assert rows[3]["occurred_at"] == "2026-11-22T23:19:05.042Z"
        assert (rows[3]["tokens_out"], rows[3]["egress_bytes"], rows[3]["cost_nano_usd"]) == (30, 0, None)
        assert [(row["unpriced_requests"], row["unpriced_tokens"]) for row in rows[2:4]] == [(0, 0), (1, 42)]
        assert (rows[2]["cost_nano_usd"], rows[2]["simulated"], rows[4]["project_id"]) == (1, True, "prj_1")

    def test_returns_the_requested_tenant_and_days(self, exporter: ExportFixture) -> None:
        assert {row["tenant_id"] for row in exporter.rows(export_request(tenant_id="demo-org2"))} == {"demo-org2"}
        day = Days(date(2026, 11, 23), date(2026, 11, 24))
        assert [row["run_id"] for row in exporter.rows(export_request(days=day))] == ["run_3"]

    def test_reads_archived_days_from_the_archive(self, exporter: ExportFixture) -> None:
        close_due(exporter.store, now=AT + 4 * HOUR)
        assert archiving.archive_due(exporter.store, Archives(exporter.objects, bucket=BUCKET), now=DUE).days == 2
        before = exporter.rows(export_request())
        for item in list(exporter.table.items("TENANT#demo-org#USAGE#EVENT#run_0")):
            exporter.table.batch_write_item(
                RequestItems={
                    "usage": [
                        {"DeleteRequest": {"Key": {name: {"S": str(item[name])} for name in ("PK", "SK")}}},
                    ]
                }
            )
        again = exporter.request(export_request(), now=AT + FILE_VALIDITY)
        rows = exporter.objects.objects[f"tenants/_operators/{again.path}"].splitlines()
        assert [json.loads(row) for row in rows] == before
        assert len(before) == 5

    def test_reuses_the_file_of_the_same_request_for_an_hour(self, exporter: ExportFixture) -> None:
        first = exporter.request(export_request())
        count(exporter.store, used("run_9"), now=AT)
        assert exporter.request(export_request(), now=AT + FILE_VALIDITY - timedelta(milliseconds=1)) == first
        assert exporter.request(export_request(), now=AT + FILE_VALIDITY).events == first.events + 1
        assert exporter.request(export_request(ExportFormat.CSV)).events == first.events + 1

    def test_returns_running_while_the_export_is_written(self, exporter: ExportFixture) -> None:
        exporter.writes_at_once = False
        assert [exporter.request(export_request()).status for _ in range(2)] == [ExportStatus.RUNNING] * 2
        assert len(exporter.queued) == 1
        exporter.write()
        found = exporter.request(export_request())
        assert (found.status, found.events) == (ExportStatus.COMPLETED, 5)
        assert found.bytes == len(exporter.written(export_request()))

    def test_restarts_after_its_writer_died(self, exporter: ExportFixture) -> None:
        exporter.writes_at_once = False
        exporter.request(export_request())
        dead = exporter.queued.pop()
        exporter.request(export_request(), now=AT + ATTEMPT_TIMEOUT)
        exporter.queued.append(dead)  # it was slow, not dead
        exporter.write()
        found = exporter.request(export_request(), now=AT + ATTEMPT_TIMEOUT)
        assert (found.attempt, found.status) == (2, ExportStatus.COMPLETED)
        assert [path for path in exporter.objects.objects if "/1/" in path] == []

    def test_refuses_too_many_events(self, exporter: ExportFixture) -> None:
        exporter.max_events = 4
        for _ in range(2):
            with pytest.raises(ExportTooLarge):
                exporter.request(export_request())
        assert exporter.request(export_request(tenant_id="demo-org")).events == 4

    def test_restarts_after_an_interruption(self, exporter: ExportFixture) -> None:
        exporter.objects.answers = False
        with pytest.raises(ExportInterrupted):
            exporter.request(export_request())
        exporter.objects.answers = True
        assert exporter.request(export_request()).status is ExportStatus.COMPLETED

    def test_fails_while_the_queue_is_unavailable(self, exporter: ExportFixture) -> None:
        exporter.is_broken = True
        with pytest.raises(DependencyUnavailable):
            exporter.request(export_request())
        exporter.is_broken = False
        assert exporter.request(export_request()).status is ExportStatus.COMPLETED

    def test_is_empty_without_usage(self) -> None:
        for format_ in ExportFormat:
            assert ExportFixture().request(export_request(format_)).events == 0


class TestFormats:
    def test_csv_is_readable_by_spreadsheets(self, exporter: ExportFixture) -> None:
        head, *rows = csv.reader(io.StringIO(exporter.written(export_request(ExportFormat.CSV)).decode(), newline=""))
        assert head == [column.name for column in COLUMNS]
        cells = dict(zip(head, rows[3], strict=True))
        assert (cells["tokens_out"], cells["cost_nano_usd"], cells["simulated"]) == ("30", "", "true")

    @pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\tx", 'a,"b"\nc', "ä🙂"])
    def test_csv_escapes_formulas(self, exporter: ExportFixture, name: str) -> None:
        report(exporter.store, name)
        [row] = csv.DictReader(
            io.StringIO(exporter.written(export_request(ExportFormat.CSV, tenant_id="demo-org3")).decode(), newline="")
        )
        assert row["model"].removeprefix("'") == name
        assert row["model"][0] not in "=+-@\t"

    def test_parquet_has_the_same_rows_with_types(self, exporter: ExportFixture, tmp_path: Any) -> None:  # noqa: ANN401 — pytest's own
        report(exporter.store, "=1")
        made = tmp_path / "made.parquet"
        made.write_bytes(exporter.written(export_request(ExportFormat.PARQUET)))
        with duckdb.connect() as database:
            names = [column.name for column in COLUMNS]
            shown = ", ".join("epoch_ms(occurred_at)" if name == "occurred_at" else f'"{name}"' for name in names)
            found = database.execute(f"FROM '{made}' SELECT {shown}").fetchall()
            schema = f"SELECT name, type FROM parquet_schema('{made}')"  # noqa: S608 — a path of ours
            types = dict(database.execute(schema).fetchall())
        rows = [dict(zip(names, row, strict=True)) for row in found]
        same = exporter.rows(export_request())
        for row in same:
            row["occurred_at"] = int(datetime.fromisoformat(row["occurred_at"]).timestamp() * 1_000)
        assert rows == same
        assert (types["tokens_in"], types["occurred_at"], types["simulated"]) == ("INT64", "INT64", "BOOLEAN")


def report(store: Store, name: str) -> None:
    """Count usage of a third tenant, with a model of this name."""
    made = unpriced_entry(
        "in-1",
        at=AT,
        origin=Origin(UsageKind.REPORTED, source=name, reported_id=name),
        dimensions=Dimensions(model=name),
        meters={Meter.IMAGES_GENERATED: 10**15},
    )
    counting.count_all(store, "demo-org3", [made], now=AT)


class TestBucket:
    def write(self, pieces: Iterator[bytes]) -> tuple[int, ExportsBucket]:
        """Write these pieces and return the size and the bucket."""
        bucket = ExportsBucket()
        size = ExportBucket(bucket, bucket=BUCKET, owner="_operators").write("usage/x.csv", pieces)
        return size, bucket

    def test_uploads_large_files_in_parts(self) -> None:
        piece = bytes(range(256)) * 4_096
        size, bucket = self.write(piece for _ in range(20))
        assert bucket.objects == {"tenants/_operators/usage/x.csv": piece * 20}
        assert size == len(piece) * 20
        assert [len(part) // 2**20 for part in bucket.parts.values()] == [8, 8, 4]

    def test_uploads_small_files_at_once(self) -> None:
        assert self.write(iter([b"a", b"b"]))[1].objects == {"tenants/_operators/usage/x.csv": b"ab"}

    def test_raises_if_the_bucket_is_unavailable(self) -> None:
        class UnavailableBucket(ExportsBucket):
            def create_multipart_upload(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
                raise EndpointConnectionError(endpoint_url=arguments["Key"])

        with pytest.raises(DependencyUnavailable):
            ExportBucket(UnavailableBucket(), bucket=BUCKET, owner="_operators").write(
                "x.csv", iter([bytes(9 * 2**20)] * 2)
            )


class TestOverHttp:
    def get(self, query: dict[str, str], *, role: Role = Role.PLATFORM_ADMIN) -> tuple[int, dict[str, Any]]:
        """Send a request and return the status and the body."""
        payload = claims(None if role is Role.PLATFORM_ADMIN else "demo-org", role=role)
        answer = app(request("GET", EXPORT, claims=payload, query=query))
        return answer["statusCode"], json.loads(answer["body"])

    def test_returns_a_url_to_the_file(self, slice_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        location: Any = {"LocationConstraint": REGION}
        s3 = own_client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
        url = own_client("sqs").create_queue(QueueName="exporter")["QueueUrl"]
        monkeypatch.setenv("REPORTER_QUEUE_URL", url)
        csv_request = export_request(ExportFormat.CSV)
        count(slice_store, used())
        started = UsageExportTable(slice_store).start(csv_request, now=datetime.now(UTC))
        assert started
        wiring.export_queue().put(started)
        export_writing.write_export(slice_store, wiring.archives(), wiring.export_bucket(), csv_request, attempt=1)
        status, body = self.get({"from": "2026-11", "to": "2026-12"})
        export = body["export"]
        assert (status, export["status"], export["events"]) == (200, "completed", 1)
        assert (export["from"], export["to"], export["format"], export["tenant_id"]) == (
            *("2026-11-01", "2026-12-01", "csv"),
            None,
        )
        key = f"tenants/_operators/{started.path}"
        assert f"{key}?" in export["url"]
        assert len(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) == export["bytes"]

    @pytest.mark.usefixtures("slice_store")
    def test_refuses_tenants_and_invalid_queries(self) -> None:
        assert self.get({}, role=Role.TENANT_ADMIN)[0] == 403
        assert self.get({"format": "xlsx"})[0] == 422
        assert self.get({"tenant_id": "A#B"})[0] == 422
        assert self.get({"from": "2026-12", "to": "2026-11"})[0] == 422


def test_does_not_affect_the_closer() -> None:
    """Exports find tenants by a partition of the index that the closer does not read."""
    exporter = ExportFixture()
    count(exporter.store, used())
    assert close_due(exporter.store, now=AT + HOUR + GRACE_PERIOD) == 1
    assert close_due(exporter.store, now=AT + 400 * 24 * HOUR) == 0
    assert archiving.archive_due(exporter.store, Archives(exporter.objects, bucket=BUCKET), now=DUE).days == 1
