"""A queued run that no worker has taken begins soon, and a queue that is merely long does not grow by that."""

from datetime import datetime, timedelta

import pytest

from services.runs.domain import lifecycle
from services.runs.domain.run import Run, Status
from services.runs.operations.reaping import reap
from services.runs.table.runs import RunTable
from shared.storage.items import Key
from tests.services.runs.budgeted import ANSWER
from tests.services.runs.conftest import World
from tests.services.runs.runs import NOW, TENANT, submitted
from tests.services.runs.work import LATER, ScriptedModel, due_runs, execute, outbox, reaped, submit, take

PASS = timedelta(seconds=15)
"""Between two looks of the reaper."""


def publications(world: World, run: Run) -> int:
    return sum(name.startswith(f"{run.run_id}:queued:") for name in outbox(world))


def look_until(world: World, end: datetime) -> None:
    now = LATER
    while now < end:
        now += PASS
        reap(world.runs, world.budgets, now=now)


class TestLostMessage:
    def test_is_published_again_within_a_minute(self, world: World) -> None:
        run = submit(world)
        look_until(world, LATER + timedelta(seconds=45))
        assert publications(world, run) == 2
        done = execute(world, run, ScriptedModel([ANSWER]))
        assert (done.status, done.attempt) == (Status.COMPLETED, 1)

    def test_of_the_second_worker_too(self, world: World) -> None:
        run = submit(world)
        look_until(world, LATER + timedelta(seconds=95))
        assert publications(world, run) == 3

    def test_is_published_less_and_less_often(self, world: World) -> None:
        run = submit(world)
        look_until(world, LATER + timedelta(hours=1))
        assert publications(world, run) <= 10

    def test_of_a_run_that_is_taken_is_not_looked_for(self, world: World) -> None:
        run = submit(world)
        take(world, run.run_id, now=LATER + timedelta(seconds=1))
        look_until(world, LATER + timedelta(seconds=30))
        assert publications(world, run) == 1


class TestLongQueue:
    def _taken_after(self, world: World, wait: timedelta, *, now: datetime) -> None:
        """A run that a worker has just taken after this time in the queue."""
        run = submit(world, now=now - wait)
        take(world, run.run_id, now=now)

    def test_is_waited_for(self, world: World) -> None:
        run, now = submit(world), LATER + timedelta(minutes=5)
        self._taken_after(world, timedelta(minutes=5), now=now)
        assert reaped(world, now=now) == 0
        assert publications(world, run) == 1
        assert due_runs(world, now=now + timedelta(seconds=19)) == []

    def test_is_not_waited_for_longer_than_it_is(self, world: World) -> None:
        run, now = submit(world), LATER + timedelta(minutes=5)
        self._taken_after(world, timedelta(minutes=5), now=now)
        self._taken_after(world, timedelta(minutes=2), now=now)
        assert reaped(world, now=now) == 1
        assert publications(world, run) == 2

    def test_is_known_from_runs_that_were_taken_just_now(self, world: World) -> None:
        run, now = submit(world), LATER + timedelta(minutes=5)
        self._taken_after(world, timedelta(minutes=5), now=now - timedelta(minutes=2))
        look_until(world, now)
        assert publications(world, run) > 1


class TestWaitedRun:
    def test_is_queued_when_its_worker_has_not_begun(self, world: World) -> None:
        run = submit(world, waited=True)
        assert reaped(world, now=LATER + timedelta(seconds=29)) == 0
        assert reaped(world, now=LATER + timedelta(seconds=30)) == 1
        assert publications(world, run) == 1


class TestPoison:
    def test_stops_no_other_run_and_is_quarantined(self, world: World) -> None:
        bad, good = submit(world), submit(world)

        class Poisoned(RunTable):
            """One run cannot be handled."""

            def state_at(self, key: Key) -> Run | None:
                if bad.run_id in key.pk:
                    raise ValueError(key)
                return super().state_at(key)

        table = Poisoned(world.store, world.runs._payloads)  # pyright: ignore[reportPrivateUsage]  # the same ones
        now, quarantined = LATER + timedelta(minutes=1), 0
        assert reap(table, world.budgets, now=now).results == [good.run_id]
        for _ in range(8):
            now += timedelta(minutes=16)
            quarantined += reap(table, world.budgets, now=now).quarantined
        assert quarantined == 1
        assert bad.run_id not in {run.run_id for run in due_runs(world, now=now + timedelta(days=1))}

    def test_is_read_without_what_lies_in_the_bucket(self, world: World) -> None:
        run = submit(world, message="x" * 100_000)
        world.documents.delete_below(TENANT, f"runs/{run.run_id}")
        assert reaped(world, now=LATER + timedelta(minutes=1)) == 1


class TestRepublish:
    @pytest.mark.parametrize(("before", "seconds"), [(0, 40), (1, 80), (2, 160), (5, 900), (50, 900)])
    def test_doubles_the_time_until_the_next(self, before: int, seconds: int) -> None:
        run, [queued] = lifecycle.give_back(submitted()[0], now=NOW)
        for _ in range(before):
            run, [queued] = lifecycle.give_back(run, now=NOW)
        assert run.due_at == NOW + timedelta(seconds=seconds)
        assert queued.id.endswith(f":queued:{run.seq}")

    def test_begins_anew_when_the_run_is_queued_for_its_next_attempt(self) -> None:
        run, _ = submitted()
        run, _ = lifecycle.give_back(run, now=NOW)
        again, _ = lifecycle.dispatch(run, "2026-11", now=NOW)
        assert (again.publications, again.due_at) == (0, NOW + timedelta(seconds=20))
