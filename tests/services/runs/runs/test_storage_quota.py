"""The plan's limit on what the runs of a tenant store."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any, cast

import pytest

from services.runs.deletion.operations import clear_deleted, delete_run
from services.runs.errors import ObjectsBeingRemoved, StorageFull
from services.runs.execution.operations.cancel import cancel_run
from services.runs.execution.operations.tool_outputs import submit_tool_outputs
from services.runs.functions import consumer as events
from services.runs.partitions import SLICE
from services.runs.providers.domain.model import StreamEnd, TextDelta
from services.runs.runs.domain.conversation import ToolCall
from services.runs.runs.domain.run import Status
from services.runs.runs.table.runs import RunTable
from services.runs.runs.table.storage import BYTES_PER_GB, StoredBytes
from shared.aws.clients import own_client
from shared.document_ref import DocumentRef
from shared.errors import Conflict, DependencyUnavailable, IdempotencyKeyReused
from shared.events.envelope import Event, parse
from shared.events.runs import ArtifactDeleted, ArtifactStored
from shared.meters import Meter
from shared.storage.idempotency import AlreadyDone, IdempotencyKey
from shared.storage.inbox import Delivery
from shared.storage.items import Value
from shared.storage.objects import Artifacts, WholeS3
from shared.storage.payloads import MAX_INLINE_BYTES, Payloads
from shared.storage.store import Store
from shared.storage.transaction import Expression, Transaction
from tests.dynamodb.memory import MemoryDynamoDB
from tests.messages import batch
from tests.services.runs.conftest import World, know_tenant
from tests.services.runs.examples import NOW, RUN_ID, TENANT, submitted
from tests.services.runs.workers import LATER, ScriptedModel, access, execute, planner_of, submit, worker_of
from tests.tables import BUCKET

LARGE = "x" * 100_000
SIZE = len('{"message":""}') + len(LARGE)


class MeetingPayloads(Payloads):
    """A store that writes only after this number of runs was checked."""

    def __init__(self, documents: Artifacts, parties: int) -> None:
        super().__init__(documents)
        self._together = Barrier(parties)

    def pack(
        self, tenant_id: str, path: str, payload: Mapping[str, Any], *, inline_bytes: int = MAX_INLINE_BYTES
    ) -> dict[str, Value]:
        """See `Payloads.pack`."""
        if "inputs" in path:
            self._together.wait(timeout=30)
        return super().pack(tenant_id, path, payload, inline_bytes=inline_bytes)


class NoBucket:
    """A store that fails to write."""

    def put_object(self, **_: object) -> dict[str, str]:
        """See `S3.put_object`."""
        return {}


class TestStorageQuota:
    """A tenant that may store 1 GB."""

    @pytest.fixture(autouse=True)
    def allow_1_gb(self, world: World) -> None:
        know_tenant(world.store, seq=7, max_storage_gb=1)

    def fill(self, world: World, *, left: int) -> None:
        transaction = Transaction(TENANT)
        transaction.update(
            StoredBytes(world.store, TENANT).key, Expression("SET #bytes = :bytes", {"bytes": BYTES_PER_GB - left})
        )
        world.store.commit(transaction)

    def test_is_never_exceeded_by_concurrent_writes(self) -> None:
        store = Store(MemoryDynamoDB(), table="entities", owned=SLICE, sleep=lambda _: None)
        bucket = Artifacts(cast("WholeS3", NoBucket()), bucket="bucket")
        runs = RunTable(store, TENANT, MeetingPayloads(bucket, 30))
        StoredBytes(store, TENANT).count_delivered(Delivery("test", "before", NOW), more=BYTES_PER_GB - 5 * SIZE)

        def store_run(number: int) -> bool:
            run, emitted = submitted(run_id=f"{RUN_ID[:-2]}{number:02}", inputs={"message": LARGE})
            try:
                runs.create(run, emitted, idempotency_key=None, storage_gb=1)
            except StorageFull:
                return False
            return True

        with ThreadPoolExecutor(30) as pool:
            assert sum(pool.map(store_run, range(30))) == 5
        assert StoredBytes(store, TENANT).read() == BYTES_PER_GB

    def test_counts_in_the_transaction_and_not_again_by_events(self, world: World) -> None:
        done = execute(world, submit(world, message=LARGE), ScriptedModel([[TextDelta(LARGE), StreamEnd({})]]))
        assert StoredBytes(world.store, TENANT).read() == 2 * SIZE
        emitted = published(world)
        assert len(emitted) == 2
        assert events.handler(batch(*emitted)) == {"batchItemFailures": []}
        assert StoredBytes(world.store, TENANT).read() == 2 * SIZE
        delete_run(world.runs, world.budgets, done.run_id, now=LATER, if_match=None)
        assert StoredBytes(world.store, TENANT).read() == 0
        assert events.handler(batch(*published(world))) == {"batchItemFailures": []}
        assert StoredBytes(world.store, TENANT).read() == 0

    def test_costs_nothing_for_runs_without_artifacts(self, world: World) -> None:
        execute(world, submit(world))
        assert world.store.get(StoredBytes(world.store, TENANT).key) is None

    def test_refuses_inputs_that_do_not_fit_and_releases_the_reservation(self, world: World) -> None:
        self.fill(world, left=SIZE - 1)
        with pytest.raises(StorageFull):
            submit(world, message=LARGE)
        [budget] = [world.budgets.find(f"{LATER:%Y-%m}")]
        assert budget
        assert (budget.open, budget.spent.tokens) == ({}, 0)
        assert StoredBytes(world.store, TENANT).read() == BYTES_PER_GB - SIZE + 1

    def test_removes_the_objects_of_a_refused_run(self, world: World) -> None:
        run, _ = submitted(inputs={"message": LARGE})
        world.documents.write(TENANT, f"runs/{RUN_ID}/inputs-1.json", {})
        world.runs.discard(run, now=LATER)
        assert objects_of(RUN_ID) == 1
        assert clear_deleted(world.all_runs, now=LATER + timedelta(minutes=2)).handled == 1
        assert objects_of(RUN_ID) == 0

    def test_keeps_the_objects_of_a_run_stored_by_another_request(self, world: World) -> None:
        run = submit(world, message=LARGE)
        world.runs.discard(run, now=LATER)
        assert clear_deleted(world.all_runs, now=LATER + timedelta(minutes=2)).handled == 1
        assert objects_of(run.run_id) == 1
        assert clear_deleted(world.all_runs, now=LATER + timedelta(days=1)).handled == 0

    def test_removes_the_objects_of_a_run_that_could_not_be_stored(self, world: World) -> None:
        run, emitted = submitted(inputs={"message": LARGE})
        idempotency_key = IdempotencyKey(TENANT, "user:1 POST runs", "key", "body", LATER)
        world.runs.create(run, emitted, idempotency_key=idempotency_key, storage_gb=1)
        again = replace(run, run_id=f"{RUN_ID[:-1]}Z")
        for other, error in (
            (idempotency_key, AlreadyDone),
            (replace(idempotency_key, fingerprint="else"), IdempotencyKeyReused),
        ):
            with pytest.raises(error):
                world.runs.create(again, emitted, idempotency_key=other, storage_gb=1)
            assert objects_of(again.run_id) == 1
            assert clear_deleted(world.all_runs, now=NOW + timedelta(minutes=2)).handled == 1
            assert objects_of(again.run_id) == 0
        with pytest.raises(Conflict):
            world.runs.create(run, emitted, idempotency_key=None, storage_gb=1)
        assert clear_deleted(world.all_runs, now=NOW + timedelta(minutes=2)).handled == 1
        assert objects_of(RUN_ID) == 1

    def test_removes_the_objects_of_a_run_after_an_outage(self, world: World) -> None:
        class Down(Store):
            """A store that fails to write runs."""

            def commit(self, transaction: Transaction) -> None:
                if not transaction.is_step:
                    raise DependencyUnavailable("The database does not answer.")  # noqa: EM101 — a test's own
                super().commit(transaction)

        run, emitted = submitted(inputs={"message": LARGE})
        store = Down(world.store._client, table=world.store._table, owned=SLICE)  # pyright: ignore[reportPrivateUsage]  # the same ones
        with pytest.raises(DependencyUnavailable):
            RunTable(store, TENANT, Payloads(world.documents)).create(run, emitted, idempotency_key=None, storage_gb=1)
        assert objects_of(RUN_ID) == 1
        assert clear_deleted(world.all_runs, now=NOW + timedelta(minutes=2)).handled == 1
        assert objects_of(RUN_ID) == 0

    def test_keeps_the_objects_of_a_run_that_is_stored_by_a_retry(self, world: World) -> None:
        run, emitted = submitted(inputs={"message": LARGE})
        world.runs.discard(run, now=NOW)
        world.runs.create(run, emitted, idempotency_key=None, storage_gb=1)
        assert clear_deleted(world.all_runs, now=NOW + timedelta(minutes=2)).handled == 0
        assert objects_of(RUN_ID) == 1

    @pytest.mark.parametrize("when", ["before it is packed", "while it is packed"])
    def test_stores_no_run_while_its_objects_are_removed(self, world: World, when: str) -> None:
        class Reaping(Artifacts):
            """The reaper clears the run and removes its objects after the request has written one."""

            def delete_below(self, tenant_id: str, folder: str) -> int:
                with pytest.raises(ObjectsBeingRemoved):
                    add(world.runs)
                return super().delete_below(tenant_id, folder)

            def write(self, tenant_id: str, path: str, document: object) -> DocumentRef:
                stored = super().write(tenant_id, path, document)
                world.runs.clear(RUN_ID)
                return stored

        def add(runs: RunTable) -> None:
            runs.create(run, emitted, idempotency_key=None, storage_gb=1)

        run, emitted = submitted(inputs={"message": LARGE})
        world.runs.discard(run, now=NOW)
        reaping = RunTable(world.store, TENANT, Payloads(Reaping(own_client("s3"), bucket=BUCKET)))
        if when == "before it is packed":
            reaping.clear(RUN_ID)
        else:
            with pytest.raises(ObjectsBeingRemoved):
                add(reaping)
        clear_deleted(world.all_runs, now=NOW + timedelta(minutes=2))
        assert (objects_of(RUN_ID), StoredBytes(world.store, TENANT).read()) == (0, 0)
        add(world.runs)
        assert world.runs.get(RUN_ID) == run

    def test_ends_a_run_whose_output_does_not_fit_with_its_usage(self, world: World) -> None:
        self.fill(world, left=SIZE - 1)
        run = submit(world)
        meters = {Meter.TOKENS_IN: 3, Meter.TOKENS_OUT: 5}
        written = worker_of(world, ScriptedModel([[TextDelta(LARGE), StreamEnd(meters)]])).execute(run.run_id)
        ended = world.runs.get(run.run_id)
        assert (ended.status, ended.output, ended.artifacts) == (Status.FAILED, None, {})
        assert ended.error
        assert (ended.error.code, "1 GB" in ended.error.message) == ("StorageFull", True)
        assert ended.usage.items() >= meters.items()
        assert Meter.TOKENS_UNCERTAIN not in ended.usage
        assert StoredBytes(world.store, TENANT).read() == BYTES_PER_GB - SIZE + 1
        # The client that waits for the run receives the output once.
        assert written
        assert world.runs.written(run.run_id, written).output == {"message": LARGE}

    def test_ends_a_run_whose_turn_does_not_fit(self, world: World) -> None:
        self.fill(world, left=SIZE - 1)
        asked = ToolCall("call_1", "look", LARGE)
        ended = execute(world, submit(world), ScriptedModel([[StreamEnd({}, tool_calls=(asked,))]]))
        assert ended.error
        assert (ended.status, ended.error.code) == (Status.FAILED, "StorageFull")

    @pytest.mark.parametrize("tool", [None, ToolCall("call_1", "look", LARGE)])
    def test_cancels_a_cancelled_run_whose_output_does_not_fit(self, world: World, tool: ToolCall | None) -> None:
        self.fill(world, left=SIZE - 1)
        run = submit(world)

        def cancel() -> None:
            cancel_run(world.runs, world.budgets, run.run_id, now=LATER, if_match=None)

        end = StreamEnd({Meter.TOKENS_OUT: 5}, tool_calls=(tool,) if tool else ())
        written = worker_of(world, ScriptedModel([[TextDelta(LARGE), end]]), on_access=lambda _: cancel()).execute(
            run.run_id
        )
        ended = world.runs.get(run.run_id)
        assert (ended.status, ended.error, ended.usage[Meter.TOKENS_OUT]) == (Status.CANCELLED, None, 5)
        assert written
        assert "output" not in written

    def test_keeps_a_run_waiting_when_its_tool_outputs_do_not_fit(self, world: World) -> None:
        asked = ToolCall("call_1", "look", "{}")
        run = execute(world, submit(world), ScriptedModel([[StreamEnd({}, tool_calls=(asked,))]]))
        self.fill(world, left=SIZE - 1)
        with pytest.raises(StorageFull):
            submit_tool_outputs(
                world.runs,
                world.documents,
                planner_of(world),
                access(world),
                run.run_id,
                {"call_1": LARGE},
                now=LATER,
            )
        assert world.runs.get(run.run_id) == run
        budget = world.budgets.find(f"{LATER:%Y-%m}")
        assert budget
        assert not budget.open

    def test_requires_the_limit_for_a_change_that_stores(self, world: World) -> None:
        run, emitted = submitted(inputs={"message": LARGE})
        with pytest.raises(ValueError, match="limit"):
            world.runs.create(run, emitted, idempotency_key=None)


def objects_of(run_id: str) -> int:
    """Return the number of a run's objects in the bucket."""
    listed = own_client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"tenants/{TENANT}/runs/{run_id}/")
    return len(listed.get("Contents", ()))


def published(world: World) -> list[Event[Any]]:
    """Return the artifact events in the outbox."""
    kinds = {kind.TYPE: kind for kind in (ArtifactStored, ArtifactDeleted)}
    items = world.store.query_all(Expression("#PK = :pk", {"pk": SLICE.key(TENANT, "OUTBOX")}))
    emitted = [json.loads(str(item["event"])) for item in items]
    return [parse(kinds[one["type"]], one) for one in emitted if one["type"] in kinds]
