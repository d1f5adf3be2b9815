"""Writing an answer's text down while it comes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from services.runs.domain.run import Run, Status
from services.runs.domain.story import Place
from services.runs.gateways.model import Ended, Text
from services.runs.operations.transcript import Transcript
from services.runs.table import SLICE
from services.runs.table.budgets import BudgetTable
from services.runs.table.runs import RunTable
from shared.errors import DependencyUnavailable
from shared.meters import Meter
from shared.storage.clients import own_client
from shared.storage.payloads import Payloads
from shared.storage.store import DynamoDB, Store
from tests.services.runs.conftest import World
from tests.services.runs.runs import NOW, running
from tests.services.runs.work import LATER, Happening, ScriptedModel, execute, submit

USED = {Meter.TOKENS_IN: 7, Meter.TOKENS_OUT: 1_000}
WRITES = ("update_item", "transact_write_items")


@dataclass
class Clock:
    """Time that passes only when it is told to."""

    now: datetime = LATER

    def __iter__(self) -> Iterator[datetime]:
        """The time, again and again."""
        while True:
            yield self.now

    def wait(self, milliseconds: int) -> Callable[[], None]:
        """Something that lets so much time pass."""

        def pass_by() -> None:
            self.now += timedelta(milliseconds=milliseconds)

        return pass_by


class CountingClient:
    """A database client that counts the calls that write."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 — boto3's client
        self._client = client
        self.writes: list[str] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 — as above
        """The client's own method."""
        if name in WRITES:
            self.writes.append(name)
        return getattr(self._client, name)


def _answer(clock: Clock, *, tokens: int, per_piece: int, per_second: int) -> list[Happening]:
    """An answer of one word a token, as fast as this."""
    pause = clock.wait(1000 * per_piece // per_second)
    pieces = [Text("word " * min(per_piece, tokens - start)) for start in range(0, tokens, per_piece)]
    return [*(happening for piece in pieces for happening in (pause, piece)), Ended(USED)]


def _counted(world: World) -> tuple[World, CountingClient]:
    client = CountingClient(own_client("dynamodb"))
    store = Store(cast("DynamoDB", client), table=f"ainexus-test-{SLICE.table}", owned=SLICE)
    runs = RunTable(store, Payloads(world.documents))
    return World(store, runs, BudgetTable(store), world.documents, world.config), client


class TestWrites:
    @pytest.mark.parametrize(("per_second", "pieces"), [(20, 83), (50, 35), (100, 19), (1000, 2)])
    def test_of_a_thousand_tokens_are_two_a_second_at_most(self, world: World, per_second: int, pieces: int) -> None:
        counted, client = _counted(world)
        run, clock = submit(counted), Clock()
        client.writes.clear()
        script = _answer(clock, tokens=1_000, per_piece=4, per_second=per_second)
        done = execute(counted, run, ScriptedModel([script]), clock=iter(clock))
        assert done.status is Status.COMPLETED
        assert pieces * 500 <= 1_000_000 // per_second
        # Besides the text: the run is taken, its end is written, and its budget settled.
        assert client.writes == ["update_item"] * (1 + pieces) + ["transact_write_items", "update_item"]

    def test_of_a_short_answer_are_none(self, world: World) -> None:
        counted, client = _counted(world)
        run, clock = submit(counted), Clock()
        client.writes.clear()
        script = _answer(clock, tokens=10, per_piece=1, per_second=100)
        execute(counted, run, ScriptedModel([script]), clock=iter(clock))
        assert client.writes == ["update_item", "transact_write_items", "update_item"]


def test_a_piece_is_no_larger_than_an_item_may_be(world: World) -> None:
    run, clock = submit(world), Clock()
    text = "\N{GRINNING FACE}" * 150_000
    pause = clock.wait(500)
    hear: list[int] = []

    def look() -> None:
        held = world.runs.get(run.tenant_id, run.run_id)
        hear[:] = [len(piece) for piece in world.runs.texts.pieces(held, Place(1, 1))]

    script = [pause, Text(text), pause, Text("a"), pause, Text("b"), look, Ended(USED)]
    done = execute(world, run, ScriptedModel([script]), clock=iter(clock))
    assert hear == [65_536, 65_536, 18_930]
    assert done.output == {"message": f"{text}ab"}


class FailingTexts:
    """A table that does not answer at first, though it has written."""

    def __init__(self, failures: int) -> None:
        self.written: dict[int, str] = {}
        self.checked: list[Place] = []
        self._failures = failures

    def append(self, run: Run, place: Place, text: str, *, now: datetime) -> Place:  # noqa: ARG002 — as the table
        """See `TextTable.append`."""
        there = self.written.setdefault(place.offset, text)
        if self._failures:
            self._failures -= 1
            msg = "Busy."
            raise DependencyUnavailable(msg)
        return place.after(there)

    def check(self, run: Run, place: Place) -> None:  # noqa: ARG002 — as the table
        """See `TextTable.check`."""
        self.checked.append(place)


def test_it_is_asked_once_a_second_while_no_text_comes() -> None:
    clock, texts = Clock(NOW), FailingTexts(failures=0)
    transcript = Transcript(texts, running(), call=1, clock=lambda: clock.now)
    for _ in range(12):
        clock.wait(250)()
        transcript.listen()
    assert (texts.written, texts.checked) == ({}, [Place(1, 1)] * 3)


def test_a_write_that_fails_loses_and_doubles_nothing() -> None:
    clock, texts = Clock(NOW), FailingTexts(failures=2)
    transcript = Transcript(texts, running(), call=1, clock=lambda: clock.now)
    for letter in "abcdef":
        clock.wait(500)()
        transcript.add(letter)
    assert "".join(texts.written.values()) == "abcdef"
