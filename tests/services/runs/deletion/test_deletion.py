"""Deletion of runs."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.runs.deletion.operations import clear_deleted, delete_run
from services.runs.errors import LeaseLost, RunNotEnded, RunNotFound
from services.runs.functions.remover import handler as remover
from services.runs.partitions import SLICE
from services.runs.providers.domain.model import StreamEnd, TextDelta
from services.runs.runs.domain.position import TextPosition
from services.runs.runs.domain.run import Run, Status
from services.runs.runs.table.listing import RunFilter
from services.runs.runs.table.runs import RunTable
from shared.audit import recorded
from shared.aws.clients import own_client
from shared.errors import DependencyUnavailable, PreconditionFailed
from shared.events.envelope import new_event
from shared.events.tenants import TenantDeleted
from shared.scope import Change
from shared.storage.items import key_of
from shared.storage.objects import Artifacts
from shared.storage.payloads import Payloads
from shared.storage.quarantine import MAX_FAILURES, list_quarantined, record_failure
from shared.storage.transaction import MAX_ACTIONS, Expression, Transaction
from shared.times import utc_now
from tests.messages import batch
from tests.services.runs.conftest import World
from tests.services.runs.examples import TENANT
from tests.services.runs.workers import LATER, ScriptedModel, execute, outbox, submit, under_way
from tests.tables import BUCKET

LARGE = "x" * 100_000


class BrokenArtifacts(Artifacts):
    """A bucket that fails to delete."""

    def delete_below(self, tenant_id: str, folder: str) -> int:  # noqa: ARG002 — as the real one
        """Fail."""
        msg = "The document store is unavailable. Try again."
        raise DependencyUnavailable(msg)


@pytest.fixture
def done(world: World) -> Run:
    """Return an ended run with text, large inputs and a large output."""
    ended = execute(world, submit(world, message=LARGE), ScriptedModel([[TextDelta(LARGE), StreamEnd({})]]))
    world.runs.texts.append(ended, TextPosition(1, 1), "Hello", now=LATER)
    return ended


def _left(world: World, run: Run) -> tuple[int, int]:
    """Return the numbers of items, the tombstone included, and of objects of a run."""
    items = world.store.query_all(Expression("#PK = :pk", {"pk": world.runs.key(run.run_id).pk}))
    listed = own_client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"tenants/{TENANT}/runs/{run.run_id}/")
    note = world.store.get(world.runs.tombstones.key(run.run_id))
    return len(list(items)) + (note is not None), len(listed.get("Contents", ()))


class TestDeleteRun:
    def test_leaves_only_the_counted_usage(self, world: World, done: Run) -> None:
        assert _left(world, done) == (2, 2)
        before = outbox(world)
        delete_run(world.runs, world.budgets, done.run_id, now=LATER, if_match=None)
        assert _left(world, done) == (1, 0)  # the tombstone
        artifacts = [f"{done.run_id}:{name}:deleted" for name in ("inputs", "output")]
        assert outbox(world) == sorted([*before, *artifacts])
        assert world.runs.listing.page(RunFilter(), limit=10, after=None) == ([], None)
        assert clear_deleted(world.all_runs, now=LATER + timedelta(minutes=17)).handled == 1
        assert _left(world, done) == (0, 0)
        assert outbox(world) == sorted([*before, *artifacts])

    def test_removes_what_a_worker_without_lease_writes_later(self, world: World, done: Run) -> None:
        delete_run(world.runs, world.budgets, done.run_id, now=LATER, if_match=None)
        lost = replace(done, status=Status.RUNNING, output=None)
        with pytest.raises(LeaseLost):
            world.runs.save(lost, done, [])
        assert _left(world, done) == (1, 1)
        assert clear_deleted(world.all_runs, now=LATER + timedelta(minutes=15)).handled == 0
        assert clear_deleted(world.all_runs, now=LATER + timedelta(minutes=17)).handled == 1
        assert _left(world, done) == (0, 0)
        assert clear_deleted(world.all_runs, now=LATER + timedelta(days=1)).handled == 0

    def test_records_one_change_for_any_number_of_text_pieces(self, world: World, done: Run) -> None:
        place = TextPosition(1, 1).after("Hello")
        for _ in range(MAX_ACTIONS + 10):
            place = world.runs.texts.append(done, place, "!", now=LATER)
        before = outbox(world)
        change = Change("req_1", "usr_1", "developer", "DELETE", done.run_id, "", LATER)
        with recorded(change):
            delete_run(world.runs, world.budgets, done.run_id, now=LATER, if_match=None)
        assert _left(world, done) == (1, 0)  # the tombstone
        artifacts = [f"{done.run_id}:{name}:deleted" for name in ("inputs", "output")]
        assert outbox(world) == sorted([*before, *artifacts, "req_1:1:recorded"])

    def test_deletes_old_object_versions(self, world: World) -> None:
        s3 = own_client("s3")
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        done = execute(world, submit(world, message=LARGE))
        for _ in range(2):
            s3.put_object(Bucket=BUCKET, Key=f"tenants/{TENANT}/runs/{done.run_id}/output-1.json", Body=b"{}")
        delete_run(world.runs, world.budgets, done.run_id, now=LATER, if_match=None)
        left = s3.list_object_versions(Bucket=BUCKET, Prefix=f"tenants/{TENANT}/runs/{done.run_id}/")
        assert not left.get("Versions")
        assert not left.get("DeleteMarkers")

    def test_succeeds_only_once(self, world: World, done: Run) -> None:
        delete_run(world.runs, world.budgets, done.run_id, now=LATER, if_match=None)
        with pytest.raises(RunNotFound):
            delete_run(world.runs, world.budgets, done.run_id, now=LATER, if_match=None)
        with pytest.raises(RunNotFound):
            world.runs.soft_delete(done, [], now=LATER)

    def test_refuses_a_run_that_has_not_ended(self, world: World) -> None:
        run = submit(world)
        with pytest.raises(RunNotEnded):
            delete_run(world.runs, world.budgets, run.run_id, now=LATER, if_match=None)
        assert world.runs.get(run.run_id).status is Status.QUEUED

    def test_refuses_a_stale_if_match(self, world: World, done: Run) -> None:
        with pytest.raises(PreconditionFailed):
            delete_run(world.runs, world.budgets, done.run_id, now=LATER, if_match='"1"')

    def test_keeps_other_runs(self, world: World, done: Run) -> None:
        other = execute(world, submit(world, message=LARGE))
        delete_run(world.runs, world.budgets, done.run_id, now=LATER, if_match=None)
        assert world.runs.get(other.run_id) == other


class TestInterruption:
    def test_after_the_first_write_is_completed_by_the_reaper(self, world: World, done: Run) -> None:
        world.runs.soft_delete(done, [], now=LATER)
        with pytest.raises(RunNotFound):
            world.runs.get(done.run_id)
        assert clear_deleted(world.all_runs, now=LATER + timedelta(seconds=59)).handled == 0
        assert clear_deleted(world.all_runs, now=LATER + timedelta(seconds=61)).handled == 1
        assert _left(world, done) == (1, 0)  # the tombstone
        assert clear_deleted(world.all_runs, now=LATER + timedelta(minutes=17)).handled == 1
        assert _left(world, done) == (0, 0)
        assert clear_deleted(world.all_runs, now=LATER + timedelta(days=1)).handled == 0

    def test_by_an_unavailable_bucket_is_completed_later(self, world: World, done: Run) -> None:
        broken = RunTable(world.store, TENANT, Payloads(BrokenArtifacts(own_client("s3"), bucket=BUCKET)))
        broken.soft_delete(done, [], now=LATER)
        with pytest.raises(DependencyUnavailable):
            broken.clear(done.run_id)
        assert _left(world, done) == (1, 2)
        assert clear_deleted(world.all_runs, now=LATER + timedelta(minutes=2)).handled == 1
        assert clear_deleted(world.all_runs, now=LATER + timedelta(minutes=17)).handled == 1
        assert _left(world, done) == (0, 0)

    def test_completes_tombstones_of_earlier_releases(self, world: World, done: Run) -> None:
        world.runs.soft_delete(done, [], now=LATER)
        [note] = world.store.query_all(Expression("#PK = :pk", {"pk": SLICE.key(TENANT, "BURIED")}))
        world.store.remove([key_of(note)])
        transaction = Transaction(TENANT)
        del note["last_due_sk"]
        transaction.put({**note, **world.runs.tombstones.legacy_key(done.run_id).attributes})
        world.store.commit(transaction)
        assert clear_deleted(world.all_runs, now=LATER + timedelta(minutes=2)).handled == 1
        assert clear_deleted(world.all_runs, now=LATER + timedelta(days=1)).handled == 0
        assert _left(world, done) == (0, 0)


class TestTenantRemoval:
    def test_includes_deleted_and_quarantined_runs(self, world: World, done: Run) -> None:
        world.runs.soft_delete(done, [], now=LATER)
        poison = submit(world, message=LARGE)
        for tries in range(MAX_FAILURES):
            now = utc_now() + timedelta(minutes=30 + 16 * tries)
            for entry in world.all_runs.queue.entries(now=now):
                record_failure(world.all_runs.queue, entry, {}, now=now, is_outage=False)
        assert [failure.entry.key.pk for failure in list_quarantined(world.store)] == [world.runs.key(poison.run_id).pk]
        assert under_way(world.runs) == []
        event = new_event(TenantDeleted(), event_id="gone", tenant_id=TENANT, subject=TENANT, seq=9, at=utc_now())
        assert remover(batch(event)) == {"batchItemFailures": []}
        for run in (done, poison):
            assert _left(world, run) == (0, 0)
        for kind in ("BURIED", "QUARANTINE", "REMOVAL"):
            assert world.store.query(Expression("#PK = :pk", {"pk": SLICE.key(TENANT, kind)})).items == []
        assert list_quarantined(world.store) == []
