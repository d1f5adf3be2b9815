"""Tests of archiving the ledger."""

import gzip
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from services.metering.archive import operations as archiving
from services.metering.counters.domain.hours import ARCHIVE_DELAY, GRACE_PERIOD, HOUR
from shared.storage.objects import Archives
from shared.storage.store import Store
from tests.services.metering.fixtures import AT, close_due, count, used
from tests.services.metering.scripted import Scripted

DUE = AT.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1) + ARCHIVE_DELAY


class ArchiveBucket:
    """A bucket in memory that can be unavailable."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.answers = True
        self.puts = 0
        self.breaks_after: int | None = None
        """The number of uploads after which the bucket fails."""

    def put_object(self, **arguments: Any) -> object:  # noqa: ANN401 — as botocore's
        """Store an object."""
        if not self.answers or self.puts == self.breaks_after:
            raise EndpointConnectionError(endpoint_url="s3")
        self.puts += 1
        self.objects[arguments["Key"]] = arguments["Body"]
        return {}

    def get_object(self, **arguments: Any) -> object:  # noqa: ANN401 — as botocore's
        """Return an object."""
        return {"Body": io.BytesIO(self.objects[arguments["Key"]])}

    def records(self, key: str) -> list[dict[str, Any]]:
        """Return the lines of an object."""
        return [json.loads(line) for line in gzip.decompress(self.objects[key]).decode().splitlines()]


@pytest.fixture(name="table")
def make_table() -> Scripted:
    """Return a table with three events of one day and one of the next, all in closed hours."""
    return two_days()


def two_days() -> Scripted:
    """Return a table with three events of one day and one of the next, all in closed hours."""
    made = Scripted([])
    for number in range(3):
        count(made.store, used(f"run_{number}", at=AT + timedelta(seconds=number)))
    count(made.store, used("run_9", at=AT + HOUR))
    close_due(made.store, now=AT + 2 * HOUR + GRACE_PERIOD)
    return made


def archive(store: Store, bucket: ArchiveBucket, **later: float) -> int:
    """Run the archiver when the day is due, or later, and return the number of archived days."""
    return archiving.archive_due(store, Archives(bucket, bucket="bucket"), now=DUE + timedelta(**later)).days


class TestArchive:
    def test_contains_the_ledger_of_the_day(self, table: Scripted) -> None:
        bucket = ArchiveBucket()
        assert archive(table.store, bucket) == 1
        [key] = bucket.objects
        assert key == "tenants/demo-org/usage/ledger/2026-11-22/0000.jsonl.gz"
        records = bucket.records(key)
        assert [record["runId"] for record in records] == ["run_2", "run_1", "run_0"]
        assert (records[0]["tokens_out"], records[0]["cost_nano_usd"]) == (30, 700)

    def test_is_written_after_late_usage_and_before_the_ledger_expires(self, table: Scripted) -> None:
        assert archive(table.store, ArchiveBucket(), milliseconds=-1) == 0
        [item] = table.items("TENANT#demo-org#USAGE#EVENT#run_0")
        assert int(str(item["ttl"])) > (DUE + timedelta(days=50)).timestamp()

    def test_is_written_once(self, table: Scripted) -> None:
        archive(table.store, ArchiveBucket())
        assert archive(table.store, ArchiveBucket(), hours=1) == 0

    def test_stays_due_while_the_bucket_is_unavailable(self, table: Scripted) -> None:
        bucket = ArchiveBucket()
        bucket.answers = False
        assert archive(table.store, bucket) == 0
        bucket.answers = True
        assert archive(table.store, bucket, minutes=1) == 1

    @pytest.mark.parametrize("entries", [1, 2, 3])
    @pytest.mark.parametrize("written", range(4))
    def test_resumes_after_an_interruption(
        self, table: Scripted, monkeypatch: pytest.MonkeyPatch, entries: int, written: int
    ) -> None:
        monkeypatch.setattr(archiving, "ENTRIES_PER_PART", entries)
        whole, broken = ArchiveBucket(), ArchiveBucket()
        archives = Archives(broken, bucket="bucket")
        archive(two_days().store, whole)
        broken.breaks_after = written
        archive(table.store, broken)
        broken.breaks_after = None
        archive(table.store, broken, minutes=1)
        assert broken.objects == whole.objects
        # Existing parts are not written again.
        assert broken.puts == len(whole.objects)
        records = archiving.read_archive(archives, "demo-org", AT.date(), events=3)
        assert [record["runId"] for record in records] == ["run_2", "run_1", "run_0"]

    def test_records_the_number_of_archived_events(self, table: Scripted) -> None:
        count(table.store, used("run_5"))  # in a correction that is not rolled up
        archive(table.store, ArchiveBucket())
        days = [item for item in table.items("TENANT#demo-org#USAGE#DAYS") if "archived_events" in item]
        assert [(item["events"], item["archived_events"]) for item in days] == [(3, 4)]
