"""Exports of the ledger: asked for, written beside, and given out by address."""

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
from services.metering.api.admin import app
from services.metering.domain.export import COLUMNS, GIVEN_UP_AFTER, GOOD_FOR, Asked, Export, ExportFormat, ExportStatus
from services.metering.domain.hours import GRACE, HOUR
from services.metering.domain.periods import Days
from services.metering.domain.usage import Dimensions, Kind, Origin, unpriced_entry
from services.metering.errors import ExportBrokeOff, ExportTooLarge
from services.metering.gateways.bucket import ExportBucket
from services.metering.gateways.queue import ExportJob
from services.metering.operations import archiving, counting, export_writing, exporting
from services.metering.table import exports
from shared.errors import DependencyUnavailable
from shared.meters import Meter
from shared.storage.clients import own_client
from shared.storage.objects import Archives
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.gateway import claims, request
from tests.services.metering.scripted import Scripted
from tests.services.metering.test_archiving import DUE
from tests.services.metering.test_archiving import Bucket as Objects
from tests.services.metering.usage import AT, close_due, count, used
from tests.tables import BUCKET, REGION

DAYS = Days(date(2026, 11, 1), date(2026, 12, 1))
EXPORT = "/v1/admin/usage/export"


class Bucket(Objects):
    """Takes objects in parts too."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: dict[int, bytes] = {}

    def create_multipart_upload(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """CreateMultipartUpload."""
        del arguments
        return {"UploadId": "upload"}

    def upload_part(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """UploadPart."""
        self.parts[arguments["PartNumber"]] = arguments["Body"]
        return {"ETag": f"part-{arguments['PartNumber']}"}

    def complete_multipart_upload(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """CompleteMultipartUpload."""
        named = arguments["MultipartUpload"]["Parts"]
        assert named == [{"PartNumber": number, "ETag": f"part-{number}"} for number in sorted(self.parts)]
        self.objects[arguments["Key"]] = b"".join(self.parts[number] for number in sorted(self.parts))

    def generate_presigned_url(self, method: str, **arguments: Any) -> str:  # noqa: ANN401 — as botocore's
        """An address."""
        return f"https://{method}/{arguments['Params']['Key']}"


@dataclass
class Desk:
    """Everything that exports need, with a queue that hands over at once, or later."""

    table: Scripted = field(default_factory=lambda: Scripted([]))
    objects: Bucket = field(default_factory=Bucket)
    waiting: list[ExportJob] = field(default_factory=list[ExportJob])
    writes_at_once: bool = True
    is_broken: bool = False
    most: int = 1_000

    @property
    def store(self) -> Store:
        """The slice."""
        return self.table.store

    def put(self, export: Export) -> None:
        """See `ExportQueue.put`."""
        if self.is_broken:
            msg = "no queue"
            raise DependencyUnavailable(msg)
        self.waiting.append(ExportJob.model_validate_json(ExportJob.of(export).model_dump_json()))
        if self.writes_at_once:
            self.write()

    def write(self) -> None:
        """Let what waits be written."""
        archives = Archives(self.objects, bucket=BUCKET)
        bucket = ExportBucket(self.objects, bucket=BUCKET, owner=exports.OPERATORS)
        for job in self.waiting:
            export_writing.write(self.store, archives, bucket, job.asked, attempt=job.attempt, most=self.most)
        self.waiting.clear()

    def ask(self, asked: Asked, *, now: datetime = AT) -> Export:
        """Ask for an export, without waiting in fact."""
        clock = itertools.count()
        return exporting.ask(self.store, self, asked, now=now, sleep=lambda _: None, monotonic=lambda: next(clock))

    def written(self, asked: Asked, *, now: datetime = AT) -> bytes:
        """The file."""
        return self.objects.objects[f"tenants/_operators/{self.ask(asked, now=now).path}"]

    def rows(self, asked: Asked) -> list[dict[str, Any]]:
        """The entries of the file, which is asked for as JSON lines."""
        return [json.loads(line) for line in self.written(asked).splitlines()]


@pytest.fixture
def desk() -> Desk:
    """Usage of two tenants, some of it in hours that are closed."""
    made = Desk()
    count(made.store, *(used(f"run_{n}", at=AT + timedelta(seconds=n), cost_nano_usd=n or None) for n in range(3)))
    close_due(made.store, now=AT + 2 * HOUR)
    count(made.store, used("run_3", at=AT + HOUR), used("run_4", tenant_id="demo-org2", project_id="prj_1"), now=AT)
    return made


def asked(format_: ExportFormat = ExportFormat.JSONL, *, tenant_id: str | None = None, days: Days = DAYS) -> Asked:
    """What is asked for."""
    return Asked(days, tenant_id, format_)


class TestAsk:
    def test_gives_the_entries_of_all_tenants_newest_first(self, desk: Desk) -> None:
        rows = desk.rows(asked())
        assert [(row["tenant_id"], row["run_id"]) for row in rows] == [
            *(("demo-org", f"run_{number}") for number in (3, 2, 1, 0)),
            ("demo-org2", "run_4"),
        ]
        assert list(rows[0]) == [column.name for column in COLUMNS]
        assert rows[3]["occurred_at"] == "2026-11-22T23:19:05.042Z"
        assert (rows[3]["tokens_out"], rows[3]["egress_bytes"], rows[3]["cost_nano_usd"]) == (30, 0, None)
        assert (rows[2]["cost_nano_usd"], rows[2]["simulated"], rows[4]["project_id"]) == (1, True, "prj_1")

    def test_gives_one_tenant_and_the_days_that_were_asked_for(self, desk: Desk) -> None:
        assert {row["tenant_id"] for row in desk.rows(asked(tenant_id="demo-org2"))} == {"demo-org2"}
        day = Days(date(2026, 11, 23), date(2026, 11, 24))
        assert [row["run_id"] for row in desk.rows(asked(days=day))] == ["run_3"]

    def test_takes_what_is_archived_from_the_archive_and_the_rest_from_the_ledger(self, desk: Desk) -> None:
        close_due(desk.store, now=AT + 4 * HOUR)
        assert archiving.archive_due(desk.store, Archives(desk.objects, bucket=BUCKET), now=DUE).days == 2
        before = desk.rows(asked())
        for item in list(desk.table.items("TENANT#demo-org#USAGE#EVENT#run_0")):
            desk.table.batch_write_item(
                RequestItems={
                    "usage": [
                        {"DeleteRequest": {"Key": {name: {"S": str(item[name])} for name in ("PK", "SK")}}},
                    ]
                }
            )
        again = desk.ask(asked(), now=AT + GOOD_FOR)
        rows = desk.objects.objects[f"tenants/_operators/{again.path}"].splitlines()
        assert [json.loads(row) for row in rows] == before
        assert len(before) == 5

    def test_is_done_once_for_the_same_question_for_an_hour(self, desk: Desk) -> None:
        first = desk.ask(asked())
        count(desk.store, used("run_9"), now=AT)
        assert desk.ask(asked(), now=AT + GOOD_FOR - timedelta(milliseconds=1)) == first
        assert desk.ask(asked(), now=AT + GOOD_FOR).events == first.events + 1
        assert desk.ask(asked(ExportFormat.CSV)).events == first.events + 1

    def test_answers_that_it_runs_and_goes_on_beside(self, desk: Desk) -> None:
        desk.writes_at_once = False
        assert [desk.ask(asked()).status for _ in range(2)] == [ExportStatus.RUNNING] * 2
        assert len(desk.waiting) == 1
        desk.write()
        found = desk.ask(asked())
        assert (found.status, found.events) == (ExportStatus.COMPLETED, 5)
        assert found.bytes == len(desk.written(asked()))

    def test_is_begun_anew_when_its_writer_has_died(self, desk: Desk) -> None:
        desk.writes_at_once = False
        desk.ask(asked())
        dead = desk.waiting.pop()
        desk.ask(asked(), now=AT + GIVEN_UP_AFTER)
        desk.waiting.append(dead)  # it was only slow
        desk.write()
        found = desk.ask(asked(), now=AT + GIVEN_UP_AFTER)
        assert (found.attempt, found.status) == (2, ExportStatus.COMPLETED)
        assert [path for path in desk.objects.objects if "/1/" in path] == []

    def test_is_refused_when_there_are_too_many(self, desk: Desk) -> None:
        desk.most = 4
        for _ in range(2):
            with pytest.raises(ExportTooLarge):
                desk.ask(asked())
        assert desk.ask(asked(tenant_id="demo-org")).events == 4

    def test_is_begun_anew_after_it_broke_off(self, desk: Desk) -> None:
        desk.objects.answers = False
        with pytest.raises(ExportBrokeOff):
            desk.ask(asked())
        desk.objects.answers = True
        assert desk.ask(asked()).status is ExportStatus.COMPLETED

    def test_is_not_begun_without_the_queue(self, desk: Desk) -> None:
        desk.is_broken = True
        with pytest.raises(DependencyUnavailable):
            desk.ask(asked())
        desk.is_broken = False
        assert desk.ask(asked()).status is ExportStatus.COMPLETED

    def test_is_empty_without_usage(self) -> None:
        for format_ in ExportFormat:
            assert Desk().ask(asked(format_)).events == 0


class TestFormats:
    def test_csv_is_as_spreadsheets_read_it(self, desk: Desk) -> None:
        head, *rows = csv.reader(io.StringIO(desk.written(asked(ExportFormat.CSV)).decode(), newline=""))
        assert head == [column.name for column in COLUMNS]
        cells = dict(zip(head, rows[3], strict=True))
        assert (cells["tokens_out"], cells["cost_nano_usd"], cells["simulated"]) == ("30", "", "true")

    @pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\tx", 'a,"b"\nc', "ä🙂"])
    def test_csv_holds_no_formula_of_a_tenant(self, desk: Desk, name: str) -> None:
        report(desk.store, name)
        [row] = csv.DictReader(
            io.StringIO(desk.written(asked(ExportFormat.CSV, tenant_id="demo-org3")).decode(), newline="")
        )
        assert row["model"].removeprefix("'") == name
        assert row["model"][0] not in "=+-@\t"

    def test_parquet_holds_the_same_with_types(self, desk: Desk, tmp_path: Any) -> None:  # noqa: ANN401 — pytest's own
        report(desk.store, "=1")
        made = tmp_path / "made.parquet"
        made.write_bytes(desk.written(asked(ExportFormat.PARQUET)))
        with duckdb.connect() as database:
            names = [column.name for column in COLUMNS]
            shown = ", ".join("epoch_ms(occurred_at)" if name == "occurred_at" else f'"{name}"' for name in names)
            found = database.execute(f"FROM '{made}' SELECT {shown}").fetchall()
            schema = f"SELECT name, type FROM parquet_schema('{made}')"  # noqa: S608 — a path of ours
            types = dict(database.execute(schema).fetchall())
        rows = [dict(zip(names, row, strict=True)) for row in found]
        same = desk.rows(asked())
        for row in same:
            row["occurred_at"] = int(datetime.fromisoformat(row["occurred_at"]).timestamp() * 1_000)
        assert rows == same
        assert (types["tokens_in"], types["occurred_at"], types["simulated"]) == ("INT64", "INT64", "BOOLEAN")


def report(store: Store, name: str) -> None:
    """A third tenant has used a model of this name."""
    made = unpriced_entry(
        "in-1",
        at=AT,
        origin=Origin(Kind.REPORTED, source=name, reported_id=name),
        dimensions=Dimensions(model=name),
        meters={Meter.IMAGES_GENERATED: 10**15},
    )
    counting.count_all(store, "demo-org3", [made], now=AT)


class TestBucket:
    def write(self, pieces: Iterator[bytes]) -> tuple[int, Bucket]:
        """What was written of these pieces."""
        bucket = Bucket()
        size = ExportBucket(bucket, bucket=BUCKET, owner="_operators").write("usage/x.csv", pieces)
        return size, bucket

    def test_takes_what_is_large_in_parts(self) -> None:
        piece = bytes(range(256)) * 4_096
        size, bucket = self.write(piece for _ in range(20))
        assert bucket.objects == {"tenants/_operators/usage/x.csv": piece * 20}
        assert size == len(piece) * 20
        assert [len(part) // 2**20 for part in bucket.parts.values()] == [8, 8, 4]

    def test_takes_what_is_small_at_once(self) -> None:
        assert self.write(iter([b"a", b"b"]))[1].objects == {"tenants/_operators/usage/x.csv": b"ab"}

    def test_says_when_the_bucket_does_not_answer(self) -> None:
        class Silent(Bucket):
            def create_multipart_upload(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
                raise EndpointConnectionError(endpoint_url=arguments["Key"])

        with pytest.raises(DependencyUnavailable):
            ExportBucket(Silent(), bucket=BUCKET, owner="_operators").write("x.csv", iter([bytes(9 * 2**20)] * 2))


class TestOverHttp:
    def get(self, query: dict[str, str], *, role: Role = Role.PLATFORM_ADMIN) -> tuple[int, dict[str, Any]]:
        """ExportStatus and body."""
        said = claims(None if role is Role.PLATFORM_ADMIN else "demo-org", role=role)
        answer = app(request("GET", EXPORT, claims=said, query=query))
        return answer["statusCode"], json.loads(answer["body"])

    def test_gives_an_address_and_what_lies_there(self, slice_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        location: Any = {"LocationConstraint": REGION}
        s3 = own_client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
        url = own_client("sqs").create_queue(QueueName="exporter")["QueueUrl"]
        monkeypatch.setenv("REPORTER_QUEUE_URL", url)
        wanted = asked(ExportFormat.CSV)
        count(slice_store, used())
        begun = exports.start(slice_store, wanted, now=datetime.now(UTC))
        assert begun
        wiring.export_queue().put(begun)
        export_writing.write(slice_store, wiring.archives(), wiring.export_bucket(), wanted, attempt=1)
        status, body = self.get({"from": "2026-11", "to": "2026-12"})
        export = body["export"]
        assert (status, export["status"], export["events"]) == (200, "completed", 1)
        assert (export["from"], export["to"], export["format"], export["tenant_id"]) == (
            *("2026-11-01", "2026-12-01", "csv"),
            None,
        )
        key = f"tenants/_operators/{begun.path}"
        assert f"{key}?" in export["url"]
        assert len(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) == export["bytes"]

    @pytest.mark.usefixtures("slice_store")
    def test_refuses_tenants_and_bad_questions(self) -> None:
        assert self.get({}, role=Role.TENANT_ADMIN)[0] == 403
        assert self.get({"format": "xlsx"})[0] == 422
        assert self.get({"tenant_id": "A#B"})[0] == 422
        assert self.get({"from": "2026-12", "to": "2026-11"})[0] == 422


def test_hours_are_found_by_the_closer_as_ever() -> None:
    """The index by which exports find tenants is not that of the work to do."""
    desk = Desk()
    count(desk.store, used())
    assert close_due(desk.store, now=AT + HOUR + GRACE) == 1
    assert close_due(desk.store, now=AT + 400 * 24 * HOUR) == 0
    assert archiving.archive_due(desk.store, Archives(desk.objects, bucket=BUCKET), now=DUE).days == 1
