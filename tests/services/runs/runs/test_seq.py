"""Every write that a client can see has a number of its own, so that no two states share an ETag."""

from services.runs.domain.run import Run, Status
from services.runs.domain.story import Cursor
from services.runs.gateways.model import Ended, Text
from services.runs.operations.following import follow
from services.runs.operations.steering import cancel_run
from shared.meters import Meter
from tests.services.runs.conftest import World
from tests.services.runs.runs import TENANT
from tests.services.runs.work import LATER, ScriptedModel, execute, submit, take

USED = {Meter.TOKENS_IN: 7, Meter.TOKENS_OUT: 2}


def cancel(world: World, run: Run) -> Run:
    return cancel_run(world.runs, world.budgets, TENANT, run.run_id, now=LATER, if_match=None)


class TestCancellation:
    def test_and_the_end_that_a_worker_writes_have_different_numbers(self, world: World) -> None:
        run = submit(world)
        seen: list[Run] = []

        def ask() -> None:
            cancel(world, run)
            seen.append(world.runs.get(TENANT, run.run_id))

        done = execute(world, run, ScriptedModel([[Text("a"), ask, Ended(USED)]]))
        assert (seen[0].cancel_requested, done.status.final) == (True, True)
        assert done.seq > seen[0].seq

    def test_does_not_hide_the_end_from_a_follower(self, world: World) -> None:
        run = submit(world)
        known: list[Run] = []

        def ask() -> None:
            cancel(world, run)
            known.append(world.runs.get(TENANT, run.run_id))

        execute(world, run, ScriptedModel([[Text("a"), ask, Ended(USED)]]))
        assert world.runs.get(TENANT, run.run_id, known=known[0]).status.final
        assert follow(world.runs, TENANT, run.run_id, Cursor(), pauses=())[-1].cursor.ended

    def test_that_is_asked_for_again_changes_nothing(self, world: World) -> None:
        run = submit(world)
        take(world, run.run_id, now=LATER)
        first = cancel(world, run)
        assert (cancel(world, run), world.runs.get(TENANT, run.run_id)) == (first, first)


class TestEveryState:
    def test_has_a_higher_number_than_the_one_before(self, world: World) -> None:
        run = submit(world)
        numbers = [run.seq]

        def note() -> None:
            numbers.append(world.runs.get(TENANT, run.run_id).seq)

        execute(world, run, ScriptedModel([[note, Text("a"), note, Ended(USED)]]))
        note()
        assert world.runs.get(TENANT, run.run_id).status is Status.COMPLETED
        assert numbers == sorted(numbers)
        assert len(set(numbers)) == 3
