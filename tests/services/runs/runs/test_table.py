"""The table of runs."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.runs.errors import LeaseLost, RunNotFound
from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.run import InvalidOutput, Run, RunError, Status
from services.runs.runs.schemas import Run as RunSchema
from services.runs.runs.table.listing import RunFilter
from shared.ids import new_id
from shared.storage.idempotency import AlreadyDone, IdempotencyKey
from tests.services.runs.conftest import World
from tests.services.runs.examples import END, NOW, OUTPUT, RUN_ID, TENANT, submitted
from tests.services.runs.workers import acquire_lease, due_runs


def _stored(world: World, **changes: Any) -> Run:  # noqa: ANN401 — any field of a run
    run, events = submitted(**changes)
    world.runs.create(run, events, idempotency_key=None, storage_gb=1)
    return run


class TestAdd:
    def test_keeps_every_field(self, world: World) -> None:
        run = _stored(world, metadata={"team": "red"})
        assert world.runs.get(RUN_ID) == run

    def test_stores_large_inputs_in_the_bucket(self, world: World) -> None:
        run = _stored(world, inputs={"message": "x" * 100_000})
        assert world.runs.get(RUN_ID).inputs == run.inputs

    def test_executes_an_idempotent_request_once(self, world: World) -> None:
        idempotency_key = IdempotencyKey(TENANT, "user:1 POST runs", "key", "fingerprint", NOW)
        run, events = submitted()
        world.runs.create(run, events, idempotency_key=idempotency_key)
        second, events = submitted(run_id=new_id("run", NOW))
        with pytest.raises(AlreadyDone, match=RUN_ID):
            world.runs.create(second, events, idempotency_key=idempotency_key)
        with pytest.raises(RunNotFound):
            world.runs.get(second.run_id)


class TestError:
    @pytest.mark.parametrize("output", [None, InvalidOutput("Hi\n", is_truncated=True, reason="It is no JSON.")])
    def test_is_stored_with_its_output(self, world: World, output: InvalidOutput | None) -> None:
        run, events = submitted()
        world.runs.create(run, events, idempotency_key=None)
        run = acquire_lease(world, RUN_ID, now=NOW)
        assert run
        error = RunError("OutputInvalid", "No.", output)
        failed, events = lifecycle.fail(run, None, error, now=NOW)
        world.runs.save(run, failed, events)
        stored = world.runs.get(RUN_ID)
        assert stored.error == error
        shown = RunSchema.of(stored).error
        assert shown
        assert (shown.details.output if "details" in shown.model_fields_set else None) == (
            output.text if output else None
        )


class TestGet:
    def test_finds_no_run_of_another_tenant(self, world: World) -> None:
        _stored(world)
        with pytest.raises(RunNotFound):
            world.all_runs.of("demo-org2").get(RUN_ID)


class TestAcquireLease:
    def test_leases_a_queued_run_to_one_worker_only(self, world: World) -> None:
        _stored(world)
        first = acquire_lease(world, RUN_ID, now=NOW)
        assert first is not None
        assert (first.status, first.attempt, first.due_at) == (Status.RUNNING, 1, NOW + lifecycle.LEASE)
        assert acquire_lease(world, RUN_ID, now=NOW) is None

    def test_returns_none_for_a_missing_run(self, world: World) -> None:
        assert acquire_lease(world, RUN_ID, now=NOW) is None

    def test_keeps_the_start_of_the_first_attempt(self, world: World) -> None:
        _stored(world)
        first = acquire_lease(world, RUN_ID, now=NOW)
        assert first is not None
        world.runs.save(first, *lifecycle.recover(first, now=NOW))
        second = acquire_lease(world, RUN_ID, now=NOW + timedelta(minutes=1))
        assert second is not None
        assert (second.attempt, second.started_at) == (2, NOW)
        assert second.call_started_at == NOW + timedelta(minutes=1)


class TestSave:
    def test_refuses_a_worker_without_the_lease(self, world: World) -> None:
        _stored(world)
        first = acquire_lease(world, RUN_ID, now=NOW)
        assert first is not None
        world.runs.save(first, *lifecycle.recover(first, now=NOW))
        acquire_lease(world, RUN_ID, now=NOW)
        with pytest.raises(LeaseLost):
            world.runs.save(first, *lifecycle.complete(first, END, OUTPUT, now=NOW))

    def test_never_changes_a_final_state(self, world: World) -> None:
        _stored(world)
        run = acquire_lease(world, RUN_ID, now=NOW)
        assert run is not None
        world.runs.save(run, *lifecycle.complete(run, END, OUTPUT, now=NOW))
        with pytest.raises(LeaseLost):
            world.runs.save(run, *lifecycle.recover(run, now=NOW))
        assert world.runs.get(RUN_ID).status is Status.COMPLETED

    def test_refuses_the_reaper_when_the_lease_was_extended(self, world: World) -> None:
        _stored(world)
        run = acquire_lease(world, RUN_ID, now=NOW)
        assert run is not None
        world.runs.extend(run, now=NOW + timedelta(seconds=20))
        with pytest.raises(LeaseLost):
            world.runs.save(run, *lifecycle.recover(run, now=NOW), only_if_still_due=True)
        world.runs.save(run, *lifecycle.complete(run, END, OUTPUT, now=NOW))


class TestExtend:
    def test_refuses_a_worker_that_has_lost_its_run(self, world: World) -> None:
        _stored(world)
        run = acquire_lease(world, RUN_ID, now=NOW)
        assert run is not None
        world.runs.save(run, *lifecycle.recover(run, now=NOW))
        with pytest.raises(LeaseLost):
            world.runs.extend(run, now=NOW)


class TestDue:
    def test_contains_a_run_that_was_not_leased_in_time(self, world: World) -> None:
        run = _stored(world, waited=True)
        assert due_runs(world, now=NOW + timedelta(seconds=29)) == []
        assert due_runs(world, now=NOW + timedelta(seconds=31)) == [run]

    def test_contains_an_expired_lease(self, world: World) -> None:
        _stored(world)
        leased = acquire_lease(world, RUN_ID, now=NOW)
        assert due_runs(world, now=NOW + timedelta(seconds=31)) == [leased]

    def test_contains_no_final_runs(self, world: World) -> None:
        _stored(world)
        run = acquire_lease(world, RUN_ID, now=NOW)
        assert run is not None
        world.runs.save(run, *lifecycle.complete(run, END, OUTPUT, now=NOW))
        assert due_runs(world, now=NOW + timedelta(days=1)) == []


class TestPage:
    def test_lists_newest_first_and_continues(self, world: World) -> None:
        ids = [_stored(world, run_id=new_id("run", NOW + timedelta(seconds=place))).run_id for place in range(5)]
        first, place = world.runs.listing.page(RunFilter(), limit=3, after=None)
        rest, end = world.runs.listing.page(RunFilter(), limit=3, after=place)
        assert [run.run_id for run in (*first, *rest)] == ids[::-1]
        assert end is None

    def test_has_no_next_page_when_the_last_one_is_full(self, world: World) -> None:
        for place in range(2):
            _stored(world, run_id=new_id("run", NOW + timedelta(seconds=place)))
        assert world.runs.listing.page(RunFilter(), limit=2, after=None)[1] is None

    def test_filters_by_a_half_open_time_range(self, world: World) -> None:
        for place in range(4):
            _stored(world, run_id=new_id("run", NOW + timedelta(seconds=place), entropy=lambda _: 0))
        chosen = RunFilter(start=NOW + timedelta(seconds=1), end=NOW + timedelta(seconds=3))
        assert len(world.runs.listing.page(chosen, limit=10, after=None)[0]) == 2

    def test_is_empty_if_the_cursor_is_before_the_range(self, world: World) -> None:
        _stored(world)
        place = new_id("run", NOW - timedelta(days=1))
        assert world.runs.listing.page(RunFilter(start=NOW), limit=10, after=place) == ([], None)

    def test_filters_by_status_agent_and_project(self, world: World) -> None:
        _stored(world)
        other = _stored(world, run_id=new_id("run", NOW), project_id="prj_1", agent_id="agt_2")
        leased = acquire_lease(world, other.run_id, now=NOW)
        for chosen in (
            RunFilter(status=Status.RUNNING),
            RunFilter(agent_id="agt_2"),
            RunFilter(project_id="prj_1"),
        ):
            assert world.runs.listing.page(chosen, limit=10, after=None) == ([leased], None)

    def test_excludes_a_tenant_with_a_longer_name(self, world: World) -> None:
        run, events = submitted()
        world.all_runs.of("demo-org2").create(replace(run, tenant_id="demo-org2"), events, idempotency_key=None)
        assert world.runs.listing.page(RunFilter(), limit=10, after=None) == ([], None)
