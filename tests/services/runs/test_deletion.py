"""Deleting runs."""

from datetime import timedelta

import pytest

from services.runs.domain.run import Run, Status
from services.runs.domain.story import Place
from services.runs.errors import RunNotEnded, RunNotFound
from services.runs.gateways.model import Ended, Text
from services.runs.operations.deletion import clear_deleted, delete_run
from services.runs.table.items import run_key
from services.runs.table.runs import RunFilter, RunTable
from shared.errors import DependencyUnavailable, PreconditionFailed
from shared.storage.clients import own_client
from shared.storage.objects import Artifacts
from shared.storage.payloads import Payloads
from shared.storage.transaction import Expression
from tests.services.runs.conftest import World
from tests.services.runs.runs import TENANT
from tests.services.runs.work import LATER, ScriptedModel, execute, outbox, submit
from tests.tables import BUCKET

LARGE = "x" * 100_000


class BrokenArtifacts(Artifacts):
    """A bucket that keeps what it has."""

    def delete_below(self, tenant_id: str, folder: str) -> int:  # noqa: ARG002 — as the real one
        """It does not answer."""
        msg = "The store of documents does not answer now."
        raise DependencyUnavailable(msg)


@pytest.fixture
def done(world: World) -> Run:
    """A run that has ended, with text, large inputs and a large output."""
    ended = execute(world, submit(world, message=LARGE), ScriptedModel([[Text(LARGE), Ended({})]]))
    world.runs.texts.append(ended, Place(1, 1), "Hello", now=LATER)
    return ended


def _left(world: World, run: Run) -> tuple[int, int]:
    """The items and objects that are left of a run."""
    items = world.store.query_all(Expression("#PK = :pk", {"pk": run_key(TENANT, run.run_id).pk}))
    listed = own_client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"tenants/{TENANT}/runs/{run.run_id}/")
    return len(list(items)), len(listed.get("Contents", ()))


class TestDeleteRun:
    def test_leaves_nothing_but_what_was_used(self, world: World, done: Run) -> None:
        assert _left(world, done) == (2, 2)
        before = outbox(world)
        delete_run(world.runs, world.budgets, TENANT, done.run_id, now=LATER, if_match=None)
        assert _left(world, done) == (0, 0)
        artifacts = [f"{done.run_id}:{name}:deleted" for name in ("inputs", "output")]
        assert outbox(world) == sorted([*before, *artifacts])
        assert world.runs.page(TENANT, RunFilter(), limit=10, after=None) == ([], None)

    def test_takes_old_versions_of_its_objects_too(self, world: World) -> None:
        s3 = own_client("s3")
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        done = execute(world, submit(world, message=LARGE))
        for _ in range(2):
            s3.put_object(Bucket=BUCKET, Key=f"tenants/{TENANT}/runs/{done.run_id}/output-1.json", Body=b"{}")
        delete_run(world.runs, world.budgets, TENANT, done.run_id, now=LATER, if_match=None)
        left = s3.list_object_versions(Bucket=BUCKET, Prefix=f"tenants/{TENANT}/runs/{done.run_id}/")
        assert not left.get("Versions")
        assert not left.get("DeleteMarkers")

    def test_can_be_done_once(self, world: World, done: Run) -> None:
        delete_run(world.runs, world.budgets, TENANT, done.run_id, now=LATER, if_match=None)
        with pytest.raises(RunNotFound):
            delete_run(world.runs, world.budgets, TENANT, done.run_id, now=LATER, if_match=None)
        with pytest.raises(RunNotFound):
            world.runs.bury(done, [], now=LATER)

    def test_refuses_a_run_that_has_not_ended(self, world: World) -> None:
        run = submit(world)
        with pytest.raises(RunNotEnded):
            delete_run(world.runs, world.budgets, TENANT, run.run_id, now=LATER, if_match=None)
        assert world.runs.get(TENANT, run.run_id).status is Status.QUEUED

    def test_refuses_a_run_that_is_not_the_one_that_was_read(self, world: World, done: Run) -> None:
        with pytest.raises(PreconditionFailed):
            delete_run(world.runs, world.budgets, TENANT, done.run_id, now=LATER, if_match='"1"')

    def test_leaves_other_runs_alone(self, world: World, done: Run) -> None:
        other = execute(world, submit(world, message=LARGE))
        delete_run(world.runs, world.budgets, TENANT, done.run_id, now=LATER, if_match=None)
        assert world.runs.get(TENANT, other.run_id) == other


class TestCutOff:
    def test_right_after_its_first_write_is_finished_by_the_reaper(self, world: World, done: Run) -> None:
        world.runs.bury(done, [], now=LATER)
        with pytest.raises(RunNotFound):
            world.runs.get(TENANT, done.run_id)
        assert clear_deleted(world.runs, now=LATER + timedelta(seconds=59)).handled == 0
        assert clear_deleted(world.runs, now=LATER + timedelta(seconds=61)).handled == 1
        assert _left(world, done) == (0, 0)
        assert clear_deleted(world.runs, now=LATER + timedelta(days=1)).handled == 0

    def test_by_a_bucket_that_does_not_answer_is_done_all_the_same(self, world: World, done: Run) -> None:
        broken = RunTable(world.store, Payloads(BrokenArtifacts(own_client("s3"), bucket=BUCKET)))
        broken.bury(done, [], now=LATER)
        with pytest.raises(DependencyUnavailable):
            broken.clear(TENANT, done.run_id)
        assert _left(world, done) == (1, 2)
        assert clear_deleted(world.runs, now=LATER + timedelta(minutes=2)).handled == 1
        assert _left(world, done) == (0, 0)
