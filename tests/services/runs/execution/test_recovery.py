"""Recovery of queued runs: lost messages are republished, and a long queue does not grow by that."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.runs.execution.operations.recovery import expire_tool_calls, reap
from services.runs.execution.operations.tool_outputs import submit_tool_outputs
from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.run import Run, Status
from services.runs.runs.table.runs import RunTable
from shared.events.envelope import Event
from shared.events.runs import RunEvent
from shared.storage.items import Item
from tests.services.runs.budgets.fixtures import ANSWER
from tests.services.runs.conftest import World, all_of
from tests.services.runs.examples import NOW, TENANT, submitted
from tests.services.runs.workers import (
    LATER,
    ScriptedModel,
    access,
    acquire_lease,
    due_runs,
    execute,
    outbox,
    planner_of,
    reaped,
    submit,
    under_way,
)

PASS = timedelta(seconds=15)
"""The interval of the reaper."""


def publications(world: World, run: Run) -> int:
    return sum(name.startswith(f"{run.run_id}:queued:") for name in outbox(world))


def look_until(world: World, end: datetime) -> None:
    now = LATER
    while now < end:
        now += PASS
        reap(world.all_runs, world.all_budgets, now=now)


class TestLostMessage:
    def test_is_republished_within_a_minute(self, world: World) -> None:
        run = submit(world)
        look_until(world, LATER + timedelta(seconds=45))
        assert publications(world, run) == 2
        done = execute(world, run, ScriptedModel([ANSWER]))
        assert (done.status, done.attempt) == (Status.COMPLETED, 1)

    def test_is_republished_for_the_second_worker(self, world: World) -> None:
        run = submit(world)
        look_until(world, LATER + timedelta(seconds=95))
        assert publications(world, run) == 3

    def test_is_republished_at_growing_intervals(self, world: World) -> None:
        run = submit(world)
        look_until(world, LATER + timedelta(hours=1))
        assert publications(world, run) <= 10

    def test_is_not_republished_for_a_leased_run(self, world: World) -> None:
        run = submit(world)
        acquire_lease(world, run.run_id, now=LATER + timedelta(seconds=1))
        look_until(world, LATER + timedelta(seconds=30))
        assert publications(world, run) == 1


class TestLongQueue:
    def _taken_after(self, world: World, wait: timedelta, *, now: datetime) -> None:
        """Return a run that was just leased after this time in the queue."""
        run = submit(world, now=now - wait)
        acquire_lease(world, run.run_id, now=now)

    def test_delays_republishing(self, world: World) -> None:
        run, now = submit(world), LATER + timedelta(minutes=5)
        self._taken_after(world, timedelta(minutes=5), now=now)
        assert reaped(world, now=now) == 0
        assert publications(world, run) == 1
        assert due_runs(world, now=now + timedelta(seconds=19)) == []

    def test_delays_republishing_no_longer_than_its_wait(self, world: World) -> None:
        run, now = submit(world), LATER + timedelta(minutes=5)
        self._taken_after(world, timedelta(minutes=5), now=now)
        self._taken_after(world, timedelta(minutes=2), now=now)
        assert reaped(world, now=now) == 1
        assert publications(world, run) == 2

    def test_is_measured_by_recently_leased_runs(self, world: World) -> None:
        run, now = submit(world), LATER + timedelta(minutes=5)
        self._taken_after(world, timedelta(minutes=5), now=now - timedelta(minutes=2))
        look_until(world, now)
        assert publications(world, run) > 1


class TestWaitedRun:
    def test_is_queued_when_its_worker_has_not_started(self, world: World) -> None:
        run = submit(world, waited=True)
        assert reaped(world, now=LATER + timedelta(seconds=29)) == 0
        assert reaped(world, now=LATER + timedelta(seconds=30)) == 1
        assert publications(world, run) == 1


class TestRunThatWaitsForTools:
    @pytest.fixture(name="asking")
    def make_asking(self, world: World) -> Run:
        return execute(world, submit(world, message="[[tool time {}]] Well?"))

    def test_is_not_in_the_queue_of_leases(self, world: World, asking: Run) -> None:
        later = LATER + timedelta(days=2)
        assert asking.status is Status.REQUIRES_ACTION
        assert due_runs(world, now=later) == []
        assert reaped(world, now=later) == 0
        assert under_way(world.runs) == [asking.run_id]

    def test_fails_when_outputs_are_late(self, world: World, asking: Run) -> None:
        due_at = asking.due_at or LATER
        assert expire_tool_calls(world.all_runs, world.all_budgets, now=due_at - timedelta(seconds=1)).results == []
        assert expire_tool_calls(world.all_runs, world.all_budgets, now=due_at).results == [asking.run_id]
        failed = world.runs.get(asking.run_id)
        assert failed.status is Status.FAILED
        assert under_way(world.runs) == []

    def test_is_due_as_a_queued_run_after_its_outputs(self, world: World, asking: Run) -> None:
        outputs = {"call_1": "noon"}
        submit_tool_outputs(
            world.runs, world.documents, planner_of(world), access(world), asking.run_id, outputs, now=LATER
        )
        assert expire_tool_calls(world.all_runs, world.all_budgets, now=LATER + timedelta(days=2)).results == []
        assert reaped(world, now=LATER + timedelta(minutes=1)) == 1


class TestPoisonRun:
    def test_blocks_no_other_run_and_is_quarantined(self, world: World) -> None:
        bad, good = submit(world), submit(world)

        class Poisoned(RunTable):
            """A run table that fails for one run."""

            def save(self, before: Run, after: Run, events: list[Event[RunEvent]], **options: Any) -> Item:  # noqa: ANN401 — the options of `RunTable.save`
                if before.run_id == bad.run_id:
                    raise ValueError(before.run_id)
                return super().save(before, after, events, **options)

        table = Poisoned(world.store, TENANT, world.runs.payloads)
        now, quarantined = LATER + timedelta(minutes=1), 0
        assert reap(all_of(table), world.all_budgets, now=now).results == [good.run_id]
        for _ in range(8):
            now += timedelta(minutes=16)
            quarantined += reap(all_of(table), world.all_budgets, now=now).quarantined
        assert quarantined == 1
        assert bad.run_id not in {run.run_id for run in due_runs(world, now=now + timedelta(days=1))}

    def test_is_read_without_the_bucket(self, world: World) -> None:
        run = submit(world, message="x" * 100_000)
        world.documents.delete_below(TENANT, f"runs/{run.run_id}")
        assert reaped(world, now=LATER + timedelta(minutes=1)) == 1


class TestRepublish:
    @pytest.mark.parametrize(("before", "seconds"), [(0, 40), (1, 80), (2, 160), (5, 900), (50, 900)])
    def test_doubles_the_interval(self, before: int, seconds: int) -> None:
        run, [queued] = lifecycle.recover(submitted()[0], now=NOW)
        for _ in range(before):
            run, [queued] = lifecycle.recover(run, now=NOW)
        assert run.due_at == NOW + timedelta(seconds=seconds)
        assert queued.id.endswith(f":queued:{run.seq}")

    def test_resets_the_interval_for_the_next_attempt(self) -> None:
        run, _ = submitted()
        run, _ = lifecycle.recover(run, now=NOW)
        again, _ = lifecycle.dispatch(run, "2026-11", now=NOW)
        assert (again.publications, again.due_at) == (0, NOW + timedelta(seconds=20))
