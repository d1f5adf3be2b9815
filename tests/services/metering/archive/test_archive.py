"""The archive of the ledger."""

import gzip
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from services.metering.domain.hours import ARCHIVED_AFTER, GRACE, HOUR
from services.metering.operations import archiving
from shared.storage.objects import Archives
from shared.storage.store import Store
from tests.services.metering.scripted import Scripted
from tests.services.metering.usage import AT, close_due, count, used

DUE = AT.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1) + ARCHIVED_AFTER


class Bucket:
    """Keeps what is put, or does not answer."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.answers = True
        self.puts = 0
        self.breaks_after: int | None = None
        """It takes so many objects more."""

    def put_object(self, **arguments: Any) -> object:  # noqa: ANN401 — as botocore's
        """PutObject."""
        if not self.answers or self.puts == self.breaks_after:
            raise EndpointConnectionError(endpoint_url="s3")
        self.puts += 1
        self.objects[arguments["Key"]] = arguments["Body"]
        return {}

    def get_object(self, **arguments: Any) -> object:  # noqa: ANN401 — as botocore's
        """GetObject."""
        return {"Body": io.BytesIO(self.objects[arguments["Key"]])}

    def records(self, key: str) -> list[dict[str, Any]]:
        """The lines of an object."""
        return [json.loads(line) for line in gzip.decompress(self.objects[key]).decode().splitlines()]


@pytest.fixture(name="table")
def make_table() -> Scripted:
    """With three events of a day, one of the next, and all their hours closed."""
    return two_days()


def two_days() -> Scripted:
    """The same."""
    made = Scripted([])
    for number in range(3):
        count(made.store, used(f"run_{number}", at=AT + timedelta(seconds=number)))
    count(made.store, used("run_9", at=AT + HOUR))
    close_due(made.store, now=AT + 2 * HOUR + GRACE)
    return made


def archive(store: Store, bucket: Bucket, **later: float) -> int:
    """What the archiver does when the day is due, or so much later."""
    return archiving.archive_due(store, Archives(bucket, bucket="bucket"), now=DUE + timedelta(**later)).days


class TestArchive:
    def test_holds_the_ledger_of_the_day(self, table: Scripted) -> None:
        bucket = Bucket()
        assert archive(table.store, bucket) == 1
        [key] = bucket.objects
        assert key == "tenants/demo-org/usage/ledger/2026-11-22/0000.jsonl.gz"
        records = bucket.records(key)
        assert [record["runId"] for record in records] == ["run_2", "run_1", "run_0"]
        assert (records[0]["tokens_out"], records[0]["cost_nano_usd"]) == (30, 700)

    def test_is_written_when_nothing_can_come_any_more_and_the_ledger_is_still_there(self, table: Scripted) -> None:
        assert archive(table.store, Bucket(), milliseconds=-1) == 0
        [item] = table.items("TENANT#demo-org#USAGE#EVENT#run_0")
        assert int(str(item["ttl"])) > (DUE + timedelta(days=50)).timestamp()

    def test_is_written_once(self, table: Scripted) -> None:
        archive(table.store, Bucket())
        assert archive(table.store, Bucket(), hours=1) == 0

    def test_stays_due_when_the_bucket_does_not_answer(self, table: Scripted) -> None:
        bucket = Bucket()
        bucket.answers = False
        assert archive(table.store, bucket) == 0
        bucket.answers = True
        assert archive(table.store, bucket, minutes=1) == 1

    @pytest.mark.parametrize("entries", [1, 2, 3])
    @pytest.mark.parametrize("written", range(4))
    def test_that_broke_off_goes_on_where_it_was(
        self, table: Scripted, monkeypatch: pytest.MonkeyPatch, entries: int, written: int
    ) -> None:
        monkeypatch.setattr(archiving, "ENTRIES_IN_A_PART", entries)
        whole, broken = Bucket(), Bucket()
        archives = Archives(broken, bucket="bucket")
        archive(two_days().store, whole)
        broken.breaks_after = written
        archive(table.store, broken)
        broken.breaks_after = None
        archive(table.store, broken, minutes=1)
        assert broken.objects == whole.objects
        # What is there is not written again.
        assert broken.puts == len(whole.objects)
        records = archiving.read_archive(archives, "demo-org", AT.date(), events=3)
        assert [record["runId"] for record in records] == ["run_2", "run_1", "run_0"]

    def test_notes_how_many_events_it_holds_beside_those_that_were_counted(self, table: Scripted) -> None:
        count(table.store, used("run_5"))  # in a correction that is not rolled up
        archive(table.store, Bucket())
        days = [item for item in table.items("TENANT#demo-org#USAGE#DAYS") if "archived_events" in item]
        assert [(item["events"], item["archived_events"]) for item in days] == [(3, 4)]
