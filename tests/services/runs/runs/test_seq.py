"""Every visible write increments `seq`, so that no two states share an ETag."""

from services.runs.execution.operations.cancel import cancel_run
from services.runs.providers.domain.model import StreamEnd, TextDelta
from services.runs.runs.domain.run import Run, Status
from services.runs.streaming.domain import StreamCursor
from services.runs.streaming.operations import stream_events
from shared.meters import Meter
from tests.services.runs.conftest import World
from tests.services.runs.workers import LATER, ScriptedModel, acquire_lease, execute, submit

USED = {Meter.TOKENS_IN: 7, Meter.TOKENS_OUT: 2}


def cancel(world: World, run: Run) -> Run:
    return cancel_run(world.runs, world.budgets, run.run_id, now=LATER, if_match=None)


class TestCancellation:
    def test_and_the_end_have_different_numbers(self, world: World) -> None:
        run = submit(world)
        seen: list[Run] = []

        def ask() -> None:
            cancel(world, run)
            seen.append(world.runs.get(run.run_id))

        done = execute(world, run, ScriptedModel([[TextDelta("a"), ask, StreamEnd(USED)]]))
        assert (seen[0].cancel_requested, done.status.final) == (True, True)
        assert done.seq > seen[0].seq

    def test_does_not_hide_the_end_from_a_stream(self, world: World) -> None:
        run = submit(world)
        known: list[Run] = []

        def ask() -> None:
            cancel(world, run)
            known.append(world.runs.get(run.run_id))

        execute(world, run, ScriptedModel([[TextDelta("a"), ask, StreamEnd(USED)]]))
        assert world.runs.get(run.run_id, known=known[0]).status.final
        assert stream_events(world.runs, run.run_id, StreamCursor(), pauses=())[-1].cursor.ended

    def test_is_idempotent(self, world: World) -> None:
        run = submit(world)
        acquire_lease(world, run.run_id, now=LATER)
        first = cancel(world, run)
        assert (cancel(world, run), world.runs.get(run.run_id)) == (first, first)


class TestEveryState:
    def test_has_a_higher_number_than_the_previous_one(self, world: World) -> None:
        run = submit(world)
        numbers = [run.seq]

        def note() -> None:
            numbers.append(world.runs.get(run.run_id).seq)

        execute(world, run, ScriptedModel([[note, TextDelta("a"), note, StreamEnd(USED)]]))
        note()
        assert world.runs.get(run.run_id).status is Status.COMPLETED
        assert numbers == sorted(numbers)
        assert len(set(numbers)) == 3
