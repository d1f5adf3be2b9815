"""The text of answers that are being written."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.runs.domain.run import Run
from services.runs.domain.story import Place
from services.runs.errors import CancelRequested, LeaseLost
from services.runs.operations.steering import cancel_run
from shared.storage.transaction import Expression
from shared.times import epoch
from tests.services.runs.conftest import World
from tests.services.runs.runs import NOW, RUN_ID, TENANT, submitted
from tests.services.runs.work import take

START = Place(1, 1)


@pytest.fixture
def run(world: World) -> Run:
    """A run in its first attempt."""
    made, events = submitted()
    world.runs.add(made, events, once=None)
    held = take(world, RUN_ID, now=NOW)
    assert held
    return held


class TestAppend:
    def test_puts_one_piece_behind_the_other(self, world: World, run: Run) -> None:
        texts = world.runs.texts
        place = texts.append(run, START, "Grüß ", now=NOW)
        assert texts.append(run, place, "Gott", now=NOW) == Place(1, 1, 9)
        assert texts.pieces(run, START) == ["Grüß ", "Gott"]
        assert texts.pieces(run, place) == ["Gott"]

    def test_keeps_the_texts_of_calls_and_attempts_apart(self, world: World, run: Run) -> None:
        texts = world.runs.texts
        for place in (START, Place(1, 2), Place(1, 10), Place(2, 1)):
            texts.append(run, place, str(place.call), now=NOW)
        assert texts.pieces(run, Place(1, 1)) == ["1"]

    def test_takes_its_own_earlier_write_for_written(self, world: World, run: Run) -> None:
        texts = world.runs.texts
        texts.append(run, START, "Hel", now=NOW)
        assert texts.append(run, START, "Hello", now=NOW) == Place(1, 1, 3)
        assert texts.pieces(run, START) == ["Hel"]

    def test_lets_a_piece_go_after_an_hour(self, world: World, run: Run) -> None:
        world.runs.texts.append(run, START, "Hello", now=NOW)
        found = world.store.query_all(
            Expression(
                "#PK = :pk AND begins_with(#SK, :text)", {"pk": f"TENANT#{TENANT}#RUNS#RUN#{RUN_ID}", "text": "TEXT#"}
            )
        )
        assert [item["ttl"] for item in found] == [epoch(NOW + timedelta(hours=1))]


class TestCancel:
    def test_takes_the_next_place_so_that_the_worker_hears_of_it(self, world: World, run: Run) -> None:
        place = world.runs.texts.append(run, START, "Hello", now=NOW)
        cancel_run(world.runs, world.budgets, TENANT, RUN_ID, now=NOW, if_match=None)
        with pytest.raises(CancelRequested):
            world.runs.texts.append(run, place, " world", now=NOW)
        assert world.runs.texts.pieces(run, START) == ["Hello"]

    def test_asked_for_twice_is_asked_for_once(self, world: World, run: Run) -> None:
        for _ in range(2):
            cancel_run(world.runs, world.budgets, TENANT, RUN_ID, now=NOW, if_match=None)
        with pytest.raises(CancelRequested):
            world.runs.texts.append(run, START, "Hello", now=NOW)

    def test_gives_way_to_a_piece_that_is_written_at_the_same_time(self, world: World, run: Run) -> None:
        told = world.runs.texts.cancellation(run, run.open_call, now=NOW) if run.open_call else None
        world.runs.texts.append(run, START, "Hello", now=NOW)
        assert told
        assert (told["SK"], world.runs.texts.pieces(run, START)) == ("TEXT#001#001#00000000", ["Hello"])
        cancel_run(world.runs, world.budgets, TENANT, RUN_ID, now=NOW, if_match=None)
        with pytest.raises(CancelRequested):
            world.runs.texts.append(run, Place(1, 1, 5), "!", now=NOW)

    def test_knows_when_the_worker_has_gone_on_to_another_call(self, world: World, run: Run) -> None:
        assert run.open_call
        stale = replace(run, open_call=replace(run.open_call, number=2))
        with pytest.raises(LeaseLost):
            world.runs.request_cancel(stale, now=NOW)


def test_all_that_is_there_of_a_run_can_be_removed(world: World, run: Run) -> None:
    texts, place = world.runs.texts, START
    for _ in range(120):
        place = texts.append(run, place, "x", now=NOW)
    assert texts.delete(TENANT, RUN_ID) == 120
    assert texts.pieces(run, START) == []
    assert world.runs.get(TENANT, RUN_ID)
