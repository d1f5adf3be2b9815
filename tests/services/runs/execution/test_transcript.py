"""Storage of a response's text while it streams."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from services.runs.budgets.table.budgets import BudgetTable
from services.runs.execution.operations.transcript import Transcript
from services.runs.partitions import SLICE
from services.runs.providers.domain.model import StreamEnd, TextDelta
from services.runs.runs.domain.position import TextPosition
from services.runs.runs.domain.run import Run, Status
from services.runs.runs.table.runs import RunTable
from shared.aws.clients import own_client
from shared.errors import DependencyUnavailable
from shared.meters import Meter
from shared.storage.payloads import Payloads
from shared.storage.store import Store, TableClient
from tests.services.runs.conftest import World
from tests.services.runs.examples import NOW, TENANT, running
from tests.services.runs.workers import LATER, Happening, ScriptedModel, execute, submit

USED = {Meter.TOKENS_IN: 7, Meter.TOKENS_OUT: 1_000}
WRITES = ("update_item", "transact_write_items")


@dataclass
class Clock:
    """A clock that only tests advance."""

    now: datetime = LATER

    def __iter__(self) -> Iterator[datetime]:
        """Yield the time repeatedly."""
        while True:
            yield self.now

    def wait(self, milliseconds: int) -> Callable[[], None]:
        """Return a callable that advances the clock."""

        def pass_by() -> None:
            self.now += timedelta(milliseconds=milliseconds)

        return pass_by


class CountingClient:
    """A database client that counts the calls that write."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 — boto3's client
        self._client = client
        self.writes: list[str] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 — as above
        """Forward to the client's own method."""
        if name in WRITES:
            self.writes.append(name)
        return getattr(self._client, name)


def _answer(clock: Clock, *, tokens: int, per_piece: int, per_second: int) -> list[Happening]:
    """Return a response of one word per token at this speed."""
    pause = clock.wait(1000 * per_piece // per_second)
    pieces = [TextDelta("word " * min(per_piece, tokens - start)) for start in range(0, tokens, per_piece)]
    return [*(happening for piece in pieces for happening in (pause, piece)), StreamEnd(USED)]


def _counted(world: World) -> tuple[World, CountingClient]:
    client = CountingClient(own_client("dynamodb"))
    store = Store(cast("TableClient", client), table=f"ainexus-test-{SLICE.table}", owned=SLICE)
    runs = RunTable(store, TENANT, Payloads(world.documents))
    return World(store, runs, BudgetTable(store, TENANT), world.documents, world.config), client


class TestWrites:
    @pytest.mark.parametrize(("per_second", "pieces"), [(20, 83), (50, 35), (100, 19), (1000, 2)])
    def test_at_most_two_pieces_a_second(self, world: World, per_second: int, pieces: int) -> None:
        counted, client = _counted(world)
        run, clock = submit(counted), Clock()
        client.writes.clear()
        script = _answer(clock, tokens=1_000, per_piece=4, per_second=per_second)
        done = execute(counted, run, ScriptedModel([script]), clock=iter(clock))
        assert done.status is Status.COMPLETED
        assert pieces * 500 <= 1_000_000 // per_second
        # Besides the text: the lease, the end of the run and the settlement.
        assert client.writes == ["update_item"] * (1 + pieces) + ["transact_write_items", "update_item"]

    def test_writes_nothing_for_a_short_response(self, world: World) -> None:
        counted, client = _counted(world)
        run, clock = submit(counted), Clock()
        client.writes.clear()
        script = _answer(clock, tokens=10, per_piece=1, per_second=100)
        execute(counted, run, ScriptedModel([script]), clock=iter(clock))
        assert client.writes == ["update_item", "transact_write_items", "update_item"]


def test_limits_a_piece_to_the_item_size(world: World) -> None:
    run, clock = submit(world), Clock()
    text = "\N{GRINNING FACE}" * 150_000
    pause = clock.wait(500)
    record: list[int] = []

    def look() -> None:
        held = world.runs.get(run.run_id)
        record[:] = [len(piece) for piece in world.runs.texts.pieces(held, TextPosition(1, 1))]

    script = [pause, TextDelta(text), pause, TextDelta("a"), pause, TextDelta("b"), look, StreamEnd(USED)]
    done = execute(world, run, ScriptedModel([script]), clock=iter(clock))
    assert record == [65_536, 65_536, 18_930]
    assert done.output == {"message": f"{text}ab"}


class FailingTexts:
    """A table whose first responses are lost although it has written."""

    def __init__(self, failures: int) -> None:
        self.written: dict[int, str] = {}
        self.checked: list[TextPosition] = []
        self._failures = failures

    def append(self, run: Run, position: TextPosition, text: str, *, now: datetime) -> TextPosition:  # noqa: ARG002 — as the table
        """See `TextTable.append`."""
        there = self.written.setdefault(position.offset, text)
        if self._failures:
            self._failures -= 1
            msg = "Busy."
            raise DependencyUnavailable(msg)
        return position.after(there)

    def check(self, run: Run, position: TextPosition) -> None:  # noqa: ARG002 — as the table
        """See `TextTable.check`."""
        self.checked.append(position)


def test_polls_cancellation_once_a_second_without_text() -> None:
    clock, texts = Clock(NOW), FailingTexts(failures=0)
    transcript = Transcript(texts, running(), call=1, clock=lambda: clock.now)
    for _ in range(12):
        clock.wait(250)()
        transcript.poll_cancellation()
    assert (texts.written, texts.checked) == ({}, [TextPosition(1, 1)] * 3)


def test_loses_and_duplicates_no_text_when_a_write_fails() -> None:
    clock, texts = Clock(NOW), FailingTexts(failures=2)
    transcript = Transcript(texts, running(), call=1, clock=lambda: clock.now)
    for letter in "abcdef":
        clock.wait(500)()
        transcript.add(letter)
    assert "".join(texts.written.values()) == "abcdef"
