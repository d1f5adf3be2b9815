"""Artifacts: large payloads in the bucket, their count and their download links."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from services.runs.errors import StorageFull
from services.runs.functions import consumer as events
from services.runs.providers.domain.model import StreamEnd, TextDelta
from services.runs.runs.domain import artifact, lifecycle
from services.runs.runs.domain.run import Run
from services.runs.runs.operations.presenter import present_run
from services.runs.runs.operations.storage_quota import check_storage_quota
from services.runs.runs.table.listing import RunFilter
from services.runs.runs.table.storage import StoredBytes
from shared.copies.tenant_access import TenantAccessCopies
from shared.errors import LimitReached
from shared.events.envelope import Event, new_event
from shared.events.runs import ArtifactDeleted, ArtifactEvent, ArtifactStored
from shared.storage import payloads
from shared.storage.items import Reader
from shared.tenancy.context import TenantAccess
from tests.messages import batch
from tests.services.runs.conftest import World
from tests.services.runs.examples import NOW, RUN_ID, TENANT, running, submitted
from tests.services.runs.workers import LATER, ScriptedModel, execute, outbox, submit
from tests.tenants import tenant_created

LARGE = "x" * 100_000
SIZE = len('{"message":""}') + len(LARGE)


def _payload(change: lifecycle.Change) -> list[str]:
    return [event.id for event in change[1] if event.type.startswith("artifact.")]


class TestAddArtifacts:
    def test_publishes_the_size_of_large_inputs(self) -> None:
        run, (_, stored) = submitted(inputs={"message": LARGE})
        assert run.artifacts == {"inputs": SIZE}
        assert (stored.id, stored.data) == (
            f"{RUN_ID}:inputs:stored",
            ArtifactStored(run_id=RUN_ID, artifact_id="inputs", bytes=SIZE),
        )

    def test_publishes_each_artifact_once(self) -> None:
        run = replace(running(), inputs={"message": LARGE}, artifacts={"inputs": SIZE})
        change = lifecycle.complete(run, lifecycle.CallEnd(lifecycle.Outcome.COMPLETED), {"message": LARGE}, now=NOW)
        assert _payload(change) == [f"{RUN_ID}:output:stored"]
        assert change[0].artifacts == {"inputs": SIZE, "output": SIZE}

    def test_publishes_nothing_for_small_payloads(self) -> None:
        assert _payload(submitted()) == []

    def test_uses_the_same_limit_as_the_table(self) -> None:
        assert artifact.MAX_INLINE_BYTES == payloads.MAX_INLINE_BYTES

    def test_stores_metadata_over_4_kb_in_the_bucket(self, world: World) -> None:
        run, events = submitted(metadata={"note": "n" * 5_000})
        assert list(run.artifacts) == ["metadata"]
        world.runs.create(run, events, idempotency_key=None, storage_gb=1)
        item = world.store.get(world.runs.key(RUN_ID))
        assert item
        assert "key" in Reader(item).map("metadata").names
        assert world.runs.get(RUN_ID) == run

    def test_lists_exactly_the_stored_objects(self, world: World) -> None:
        done = execute(world, submit(world, message=LARGE), ScriptedModel([[TextDelta(LARGE), StreamEnd({})]]))
        assert done.artifacts == {"inputs": SIZE, "output": SIZE}
        stored = [f"{done.run_id}:{name}:stored" for name in ("inputs", "output")]
        assert [event for event in outbox(world) if event.endswith("stored")] == stored


@pytest.fixture
def huge(world: World) -> Run:
    """Return a run whose output is over 1 MiB."""
    text = "y" * (artifact.MAX_RESPONSE_OUTPUT_BYTES + 1)
    return execute(world, submit(world), ScriptedModel([[TextDelta(text), StreamEnd({})]]))


class TestPresentRun:
    def test_returns_outputs_up_to_1_mib(self, world: World) -> None:
        run = execute(world, submit(world), ScriptedModel([[TextDelta(LARGE), StreamEnd({})]]))
        assert present_run(world.runs, run, now=LATER) == run

    def test_returns_a_link_for_larger_outputs(self, world: World, huge: Run) -> None:
        output = present_run(world.runs, huge, now=LATER).output
        assert output
        payload = output["artifact"]
        address = urlsplit(str(payload["url"]))
        assert f"/tenants/{TENANT}/runs/{huge.run_id}/output-" in address.path
        assert parse_qs(address.query)["X-Amz-Expires"] == ["300"]
        assert (payload["bytes"], payload["expires_at"]) == (huge.artifacts["output"], "2026-11-23T00:24:05.000Z")

    def test_publishes_identical_download_events_within_an_hour(self) -> None:
        run = replace(running(), artifacts={"output": 7})
        at = (datetime(2026, 11, 22, 23, minute, tzinfo=UTC) for minute in (0, 19, 59))
        first, *again = (artifact.download(run, "output", now=moment) for moment in at)
        assert again == [first, first]

    def test_counts_a_download_once_an_hour(self, world: World, huge: Run) -> None:
        for minutes in (0, 10, 20, 60):
            present_run(world.runs, huge, now=LATER + timedelta(minutes=minutes))
        hours = [event.rpartition(":")[2] for event in outbox(world) if ":downloaded:" in event]
        assert hours == ["2026-11-23T00", "2026-11-23T01"]

    def test_returns_only_sizes_in_lists(self, world: World, huge: Run) -> None:
        [listed], _ = world.runs.listing.page(RunFilter(), limit=10, after=None)
        assert listed.output == {"artifact": {"bytes": huge.artifacts["output"]}}


def _event(data: ArtifactEvent, number: int) -> Event[Any]:
    name = f"artifact-{number}-{data.TYPE}"
    return new_event(data, event_id=name, tenant_id=TENANT, subject=name, seq=1, at=datetime.now(UTC))


def _stored(number: int, size: int) -> Event[Any]:
    return _event(ArtifactStored(run_id=RUN_ID, artifact_id="output", bytes=size), number)


def _deleted(number: int, size: int) -> Event[Any]:
    return _event(ArtifactDeleted(run_id=RUN_ID, artifact_id="output", bytes=size), number)


class TestStoredBytes:
    def test_counts_every_event_once_in_any_order(self, world: World) -> None:
        payload = [_deleted(1, 300), _stored(1, 300), _stored(2, 500), _stored(2, 500)]
        for _ in range(2):
            assert events.handler(batch(*payload)) == {"batchItemFailures": []}
        assert StoredBytes(world.store, TENANT).read() == 500

    @pytest.fixture
    def access(self, world: World) -> Callable[[int], TenantAccess]:
        """Return the tenant with this storage limit."""

        def of(storage_gb: int) -> TenantAccess:
            TenantAccessCopies(world.store).keep(tenant_created(TENANT, seq=7, max_storage_gb=storage_gb))
            return TenantAccessCopies(world.store).read(TENANT)

        return of

    def test_allows_writes_below_the_limit(self, world: World, access: Callable[[int], TenantAccess]) -> None:
        allowed = access(1)
        events.handler(batch(_stored(1, 10**9 - 1)))
        check_storage_quota(StoredBytes(world.store, TENANT), allowed)
        events.handler(batch(_stored(2, 1)))
        with pytest.raises(StorageFull, match="1 GB") as refused:
            check_storage_quota(StoredBytes(world.store, TENANT), allowed)
        assert isinstance(refused.value, LimitReached)
        assert refused.value.resets_at is None

    def test_has_no_limit_if_the_plan_has_none(self, world: World, access: Callable[[int], TenantAccess]) -> None:
        events.handler(batch(_stored(1, 10**12)))
        check_storage_quota(StoredBytes(world.store, TENANT), access(-1))

    def test_is_released_when_a_run_is_deleted(self, world: World, access: Callable[[int], TenantAccess]) -> None:
        events.handler(batch(_stored(1, 10**9), _deleted(1, 10**9)))
        check_storage_quota(StoredBytes(world.store, TENANT), access(1))
