"""What is large: it lies in the bucket, is counted there, and is given out by address."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from services.runs.consumer import events
from services.runs.domain import artifact, lifecycle
from services.runs.domain.run import Run
from services.runs.errors import StorageFull
from services.runs.gateways.model import Ended, Text
from services.runs.operations.room import check_room
from services.runs.operations.showing import shown
from services.runs.table.runs import RunFilter
from services.runs.table.storage import stored_bytes
from shared.copies.tenant_access import TenantAccessCopies
from shared.errors import LimitReached
from shared.events.envelope import Event, happened
from shared.events.runs import ArtifactDeleted, ArtifactEvent, ArtifactStored
from shared.storage import payloads
from shared.tenancy.context import TenantAccess
from tests.messages import batch
from tests.services.runs.conftest import World
from tests.services.runs.runs import NOW, RUN_ID, TENANT, running, submitted
from tests.services.runs.work import LATER, ScriptedModel, execute, outbox, submit
from tests.tenants import tenant_created

LARGE = "x" * 100_000
SIZE = len('{"message":""}') + len(LARGE)


def _said(change: lifecycle.Change) -> list[str]:
    return [event.id for event in change[1] if event.type.startswith("artifact.")]


class TestKeepArtifacts:
    def test_says_what_the_inputs_put_into_the_bucket(self) -> None:
        run, (_, stored) = submitted(inputs={"message": LARGE})
        assert run.artifacts == {"inputs": SIZE}
        assert (stored.id, stored.data) == (
            f"{RUN_ID}:inputs:stored",
            ArtifactStored(run_id=RUN_ID, artifact_id="inputs", bytes=SIZE),
        )

    def test_says_each_thing_once(self) -> None:
        run = replace(running(), inputs={"message": LARGE}, artifacts={"inputs": SIZE})
        change = lifecycle.complete(run, lifecycle.CallEnd(lifecycle.Outcome.COMPLETED), {"message": LARGE}, now=NOW)
        assert _said(change) == [f"{RUN_ID}:output:stored"]
        assert change[0].artifacts == {"inputs": SIZE, "output": SIZE}

    def test_says_nothing_of_what_is_small(self) -> None:
        assert _said(submitted()) == []

    def test_draws_the_line_where_the_table_does(self) -> None:
        assert artifact.MAX_INLINE_BYTES == payloads.MAX_INLINE_BYTES

    def test_names_exactly_what_lies_in_the_bucket(self, world: World) -> None:
        done = execute(world, submit(world, message=LARGE), ScriptedModel([[Text(LARGE), Ended({})]]))
        assert done.artifacts == {"inputs": SIZE, "output": SIZE}
        stored = [f"{done.run_id}:{name}:stored" for name in ("inputs", "output")]
        assert [event for event in outbox(world) if event.endswith("stored")] == stored


@pytest.fixture
def huge(world: World) -> Run:
    """A run whose output is over 1 MiB."""
    text = "y" * (artifact.MAX_SHOWN_BYTES + 1)
    return execute(world, submit(world), ScriptedModel([[Text(text), Ended({})]]))


class TestShown:
    def test_is_the_run_as_it_is_up_to_1_mib(self, world: World) -> None:
        run = execute(world, submit(world), ScriptedModel([[Text(LARGE), Ended({})]]))
        assert shown(world.runs, run, now=LATER) == run

    def test_is_an_address_beyond_that(self, world: World, huge: Run) -> None:
        output = shown(world.runs, huge, now=LATER).output
        assert output
        said = output["artifact"]
        address = urlsplit(str(said["url"]))
        assert f"/tenants/{TENANT}/runs/{huge.run_id}/output-" in address.path
        assert parse_qs(address.query)["X-Amz-Expires"] == ["300"]
        assert (said["bytes"], said["expires_at"]) == (huge.artifacts["output"], "2026-11-23T00:24:05.000Z")

    def test_says_a_download_in_the_same_words_whenever_in_the_hour_it_is(self) -> None:
        run = replace(running(), artifacts={"output": 7})
        at = (datetime(2026, 11, 22, 23, minute, tzinfo=UTC) for minute in (0, 19, 59))
        first, *again = (artifact.download(run, "output", now=moment) for moment in at)
        assert again == [first, first]

    def test_counts_a_download_once_an_hour(self, world: World, huge: Run) -> None:
        for minutes in (0, 10, 20, 60):
            shown(world.runs, huge, now=LATER + timedelta(minutes=minutes))
        hours = [event.rpartition(":")[2] for event in outbox(world) if ":downloaded:" in event]
        assert hours == ["2026-11-23T00", "2026-11-23T01"]

    def test_in_a_list_is_only_how_large_it_is(self, world: World, huge: Run) -> None:
        [listed], _ = world.runs.page(TENANT, RunFilter(), limit=10, after=None)
        assert listed.output == {"artifact": {"bytes": huge.artifacts["output"]}}


def _event(data: ArtifactEvent, number: int) -> Event[Any]:
    name = f"artifact-{number}-{data.TYPE}"
    return happened(data, event_id=name, tenant_id=TENANT, subject=name, seq=1, at=datetime.now(UTC))


def _stored(number: int, size: int) -> Event[Any]:
    return _event(ArtifactStored(run_id=RUN_ID, artifact_id="output", bytes=size), number)


def _deleted(number: int, size: int) -> Event[Any]:
    return _event(ArtifactDeleted(run_id=RUN_ID, artifact_id="output", bytes=size), number)


class TestRoom:
    def test_counts_every_event_once_in_any_order(self, world: World) -> None:
        said = [_deleted(1, 300), _stored(1, 300), _stored(2, 500), _stored(2, 500)]
        for _ in range(2):
            assert events.handler(batch(*said)) == {"batchItemFailures": []}
        assert stored_bytes(world.store, TENANT) == 500

    @pytest.fixture
    def access(self, world: World) -> Callable[[int], TenantAccess]:
        """The tenant with so many GB."""

        def of(storage_gb: int) -> TenantAccess:
            TenantAccessCopies(world.store).keep(tenant_created(TENANT, seq=7, max_storage_gb=storage_gb))
            return TenantAccessCopies(world.store).read(TENANT)

        return of

    def test_is_there_until_the_limit_is_reached(self, world: World, access: Callable[[int], TenantAccess]) -> None:
        allowed = access(1)
        events.handler(batch(_stored(1, 10**9 - 1)))
        check_room(world.store, allowed)
        events.handler(batch(_stored(2, 1)))
        with pytest.raises(StorageFull, match="1 GB") as refused:
            check_room(world.store, allowed)
        assert isinstance(refused.value, LimitReached)
        assert refused.value.resets_at is None

    def test_has_no_end_where_the_plan_has_none(self, world: World, access: Callable[[int], TenantAccess]) -> None:
        events.handler(batch(_stored(1, 10**12)))
        check_room(world.store, access(-1))

    def test_is_there_again_when_a_run_was_deleted(self, world: World, access: Callable[[int], TenantAccess]) -> None:
        events.handler(batch(_stored(1, 10**9), _deleted(1, 10**9)))
        check_room(world.store, access(1))
