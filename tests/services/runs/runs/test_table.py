"""Runs in their table."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.runs.domain import lifecycle
from services.runs.domain.run import Run, Status
from services.runs.errors import LeaseLost, RunNotFound
from services.runs.table.runs import RunFilter
from shared.ids import new_id
from shared.storage.idempotency import AlreadyDone, Once
from tests.services.runs.conftest import World
from tests.services.runs.runs import END, NOW, OUTPUT, RUN_ID, TENANT, submitted
from tests.services.runs.work import due_runs, take


def _stored(world: World, **changes: Any) -> Run:  # noqa: ANN401 — any field of a run
    run, events = submitted(**changes)
    world.runs.add(run, events, once=None)
    return run


class TestAdd:
    def test_keeps_every_field(self, world: World) -> None:
        run = _stored(world, metadata={"team": "red"})
        assert world.runs.get(TENANT, RUN_ID) == run

    def test_puts_large_inputs_into_the_bucket(self, world: World) -> None:
        run = _stored(world, inputs={"message": "x" * 100_000})
        assert world.runs.get(TENANT, RUN_ID).inputs == run.inputs

    def test_carries_a_request_out_once(self, world: World) -> None:
        once = Once(TENANT, "user:1 POST runs", "key", "fingerprint", NOW)
        run, events = submitted()
        world.runs.add(run, events, once=once)
        second, events = submitted(run_id=new_id("run", NOW))
        with pytest.raises(AlreadyDone, match=RUN_ID):
            world.runs.add(second, events, once=once)
        with pytest.raises(RunNotFound):
            world.runs.get(TENANT, second.run_id)


class TestGet:
    def test_finds_no_run_of_another_tenant(self, world: World) -> None:
        _stored(world)
        with pytest.raises(RunNotFound):
            world.runs.get("demo-org2", RUN_ID)


class TestTake:
    def test_gives_a_queued_run_to_one_worker_only(self, world: World) -> None:
        _stored(world)
        first = take(world, RUN_ID, now=NOW)
        assert first is not None
        assert (first.status, first.attempt, first.due_at) == (Status.RUNNING, 1, NOW + lifecycle.LEASE)
        assert take(world, RUN_ID, now=NOW) is None

    def test_takes_nothing_that_does_not_exist(self, world: World) -> None:
        assert take(world, RUN_ID, now=NOW) is None

    def test_keeps_when_the_first_attempt_started(self, world: World) -> None:
        _stored(world)
        first = take(world, RUN_ID, now=NOW)
        assert first is not None
        world.runs.save(first, *lifecycle.give_back(first, now=NOW))
        second = take(world, RUN_ID, now=NOW + timedelta(minutes=1))
        assert second is not None
        assert (second.attempt, second.started_at) == (2, NOW)
        assert second.call_started_at == NOW + timedelta(minutes=1)


class TestSave:
    def test_refuses_a_worker_whose_lease_another_attempt_has(self, world: World) -> None:
        _stored(world)
        first = take(world, RUN_ID, now=NOW)
        assert first is not None
        world.runs.save(first, *lifecycle.give_back(first, now=NOW))
        take(world, RUN_ID, now=NOW)
        with pytest.raises(LeaseLost):
            world.runs.save(first, *lifecycle.complete(first, END, OUTPUT, now=NOW))

    def test_never_changes_a_final_state(self, world: World) -> None:
        _stored(world)
        run = take(world, RUN_ID, now=NOW)
        assert run is not None
        world.runs.save(run, *lifecycle.complete(run, END, OUTPUT, now=NOW))
        with pytest.raises(LeaseLost):
            world.runs.save(run, *lifecycle.give_back(run, now=NOW))
        assert world.runs.get(TENANT, RUN_ID).status is Status.COMPLETED

    def test_lets_the_reaper_take_no_run_whose_lease_was_extended(self, world: World) -> None:
        _stored(world)
        run = take(world, RUN_ID, now=NOW)
        assert run is not None
        world.runs.extend(run, now=NOW + timedelta(seconds=20))
        with pytest.raises(LeaseLost):
            world.runs.save(run, *lifecycle.give_back(run, now=NOW), only_if_still_due=True)
        world.runs.save(run, *lifecycle.complete(run, END, OUTPUT, now=NOW))


class TestExtend:
    def test_refuses_a_worker_that_has_lost_its_run(self, world: World) -> None:
        _stored(world)
        run = take(world, RUN_ID, now=NOW)
        assert run is not None
        world.runs.save(run, *lifecycle.give_back(run, now=NOW))
        with pytest.raises(LeaseLost):
            world.runs.extend(run, now=NOW)


class TestDue:
    def test_finds_what_nobody_has_leased_in_time(self, world: World) -> None:
        run = _stored(world, waited=True)
        assert due_runs(world, now=NOW + timedelta(seconds=29)) == []
        assert due_runs(world, now=NOW + timedelta(seconds=31)) == [run]

    def test_finds_a_lease_that_ran_out(self, world: World) -> None:
        _stored(world)
        taken = take(world, RUN_ID, now=NOW)
        assert due_runs(world, now=NOW + timedelta(seconds=31)) == [taken]

    def test_leaves_final_runs_alone(self, world: World) -> None:
        _stored(world)
        run = take(world, RUN_ID, now=NOW)
        assert run is not None
        world.runs.save(run, *lifecycle.complete(run, END, OUTPUT, now=NOW))
        assert due_runs(world, now=NOW + timedelta(days=1)) == []


class TestPage:
    def test_shows_the_newest_first_and_goes_on_where_it_ended(self, world: World) -> None:
        ids = [_stored(world, run_id=new_id("run", NOW + timedelta(seconds=place))).run_id for place in range(5)]
        first, place = world.runs.page(TENANT, RunFilter(), limit=3, after=None)
        rest, end = world.runs.page(TENANT, RunFilter(), limit=3, after=place)
        assert [run.run_id for run in (*first, *rest)] == ids[::-1]
        assert end is None

    def test_has_no_next_page_when_the_last_one_is_full(self, world: World) -> None:
        for place in range(2):
            _stored(world, run_id=new_id("run", NOW + timedelta(seconds=place)))
        assert world.runs.page(TENANT, RunFilter(), limit=2, after=None)[1] is None

    def test_filters_by_time_half_open(self, world: World) -> None:
        for place in range(4):
            _stored(world, run_id=new_id("run", NOW + timedelta(seconds=place), entropy=lambda _: 0))
        chosen = RunFilter(start=NOW + timedelta(seconds=1), end=NOW + timedelta(seconds=3))
        assert len(world.runs.page(TENANT, chosen, limit=10, after=None)[0]) == 2

    def test_is_empty_where_the_place_to_go_on_from_is_before_the_range(self, world: World) -> None:
        _stored(world)
        place = new_id("run", NOW - timedelta(days=1))
        assert world.runs.page(TENANT, RunFilter(start=NOW), limit=10, after=place) == ([], None)

    def test_filters_by_state_agent_and_project(self, world: World) -> None:
        _stored(world)
        other = _stored(world, run_id=new_id("run", NOW), project_id="prj_1", agent_id="agt_2")
        taken = take(world, other.run_id, now=NOW)
        for chosen in (
            RunFilter(status=Status.RUNNING),
            RunFilter(agent_id="agt_2"),
            RunFilter(project_id="prj_1"),
        ):
            assert world.runs.page(TENANT, chosen, limit=10, after=None) == ([taken], None)

    def test_shows_nothing_of_a_tenant_with_a_longer_name(self, world: World) -> None:
        run, events = submitted()
        world.runs.add(replace(run, tenant_id="demo-org2"), events, once=None)
        assert world.runs.page(TENANT, RunFilter(), limit=10, after=None) == ([], None)
