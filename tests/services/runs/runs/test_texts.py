"""The stored text of open calls."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.runs.errors import CancelRequested, LeaseLost
from services.runs.execution.operations.cancel import cancel_run
from services.runs.runs.domain.position import TextPosition
from services.runs.runs.domain.run import Run
from shared.storage.transaction import Expression
from shared.times import epoch
from tests.services.runs.conftest import World
from tests.services.runs.examples import NOW, RUN_ID, TENANT, submitted
from tests.services.runs.workers import acquire_lease

START = TextPosition(1, 1)


@pytest.fixture
def run(world: World) -> Run:
    """Return a run in its first attempt."""
    made, events = submitted()
    world.runs.create(made, events, idempotency_key=None)
    held = acquire_lease(world, RUN_ID, now=NOW)
    assert held
    return held


class TestAppend:
    def test_appends_pieces_in_order(self, world: World, run: Run) -> None:
        texts = world.runs.texts
        place = texts.append(run, START, "Grüß ", now=NOW)
        assert texts.append(run, place, "Gott", now=NOW) == TextPosition(1, 1, 9)
        assert texts.pieces(run, START) == ["Grüß ", "Gott"]
        assert texts.pieces(run, place) == ["Gott"]

    def test_separates_calls_and_attempts(self, world: World, run: Run) -> None:
        texts = world.runs.texts
        for place in (START, TextPosition(1, 2), TextPosition(1, 10), TextPosition(2, 1)):
            texts.append(run, place, str(place.call), now=NOW)
        assert texts.pieces(run, TextPosition(1, 1)) == ["1"]

    def test_is_idempotent_for_a_lost_response(self, world: World, run: Run) -> None:
        texts = world.runs.texts
        texts.append(run, START, "Hel", now=NOW)
        assert texts.append(run, START, "Hello", now=NOW) == TextPosition(1, 1, 3)
        assert texts.pieces(run, START) == ["Hel"]

    def test_expires_a_piece_after_an_hour(self, world: World, run: Run) -> None:
        world.runs.texts.append(run, START, "Hello", now=NOW)
        found = world.store.query_all(
            Expression(
                "#PK = :pk AND begins_with(#SK, :text)", {"pk": f"TENANT#{TENANT}#RUNS#RUN#{RUN_ID}", "text": "TEXT#"}
            )
        )
        assert [item["ttl"] for item in found] == [epoch(NOW + timedelta(hours=1))]


class TestCancel:
    def test_takes_the_next_position_so_that_the_worker_detects_it(self, world: World, run: Run) -> None:
        place = world.runs.texts.append(run, START, "Hello", now=NOW)
        cancel_run(world.runs, world.budgets, RUN_ID, now=NOW, if_match=None)
        with pytest.raises(CancelRequested):
            world.runs.texts.append(run, place, " world", now=NOW)
        assert world.runs.texts.pieces(run, START) == ["Hello"]

    def test_is_idempotent(self, world: World, run: Run) -> None:
        for _ in range(2):
            cancel_run(world.runs, world.budgets, RUN_ID, now=NOW, if_match=None)
        with pytest.raises(CancelRequested):
            world.runs.texts.append(run, START, "Hello", now=NOW)

    def test_loses_against_a_concurrent_piece(self, world: World, run: Run) -> None:
        told = world.runs.texts.cancellation(run, run.open_call, now=NOW) if run.open_call else None
        world.runs.texts.append(run, START, "Hello", now=NOW)
        assert told
        assert (told["SK"], world.runs.texts.pieces(run, START)) == ("TEXT#001#001#00000000", ["Hello"])
        cancel_run(world.runs, world.budgets, RUN_ID, now=NOW, if_match=None)
        with pytest.raises(CancelRequested):
            world.runs.texts.append(run, TextPosition(1, 1, 5), "!", now=NOW)

    def test_detects_that_the_worker_has_moved_to_another_call(self, world: World, run: Run) -> None:
        assert run.open_call
        stale = replace(run, open_call=replace(run.open_call, number=2))
        with pytest.raises(LeaseLost):
            world.runs.request_cancel(stale, now=NOW)


def test_deletes_all_pieces_of_a_run(world: World, run: Run) -> None:
    texts, place = world.runs.texts, START
    for _ in range(120):
        place = texts.append(run, place, "x", now=NOW)
    assert texts.delete(RUN_ID) == 120
    assert texts.pieces(run, START) == []
    assert world.runs.get(RUN_ID)
