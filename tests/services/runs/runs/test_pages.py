"""Pages of runs are bounded in bytes and never read the bucket."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.runs.execution.operations.cancel import cancel_run
from services.runs.runs.domain.conversation import Message, ToolCall
from services.runs.runs.domain.run import Run, Status
from services.runs.runs.schemas import Run as ShownRun
from services.runs.runs.schemas import bytes_of
from services.runs.runs.table.listing import RunFilter
from services.runs.runs.table.runs import RunTable
from shared.deadline import MARGIN_S, invocation
from shared.ids import new_id
from shared.storage.items import Key, Value
from shared.storage.listing import MAX_PAGE_BYTES
from shared.storage.payloads import Payloads
from shared.storage.store import Store
from tests.invocations import FakeLambdaContext
from tests.services.runs.conftest import World
from tests.services.runs.examples import NOW, TENANT, submitted


class NoBucket:
    """A bucket that refuses every call."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 — any call
        pytest.fail(f"the bucket was asked to {name}")


def _add(world: World, count: int, **changes: Any) -> list[str]:  # noqa: ANN401 — any field of a run
    """Store runs and return their ids, newest first."""
    ids = [new_id("run", NOW + timedelta(seconds=number)) for number in range(count)]
    for run_id in ids:
        run, _ = submitted(run_id=run_id, inputs=changes.get("inputs", {"message": "Hi"}))
        world.runs.create(replace(run, **changes), [], idempotency_key=None)
    return ids[::-1]


def _pages(runs: RunTable, *, limit: int = 100) -> list[list[Run]]:
    found: list[list[Run]] = []
    place: str | None = None
    while place or not found:
        page, place = runs.listing.page(RunFilter(), limit=limit, after=place, bytes_of=bytes_of)
        found.append(page)
    return found


class Watched:
    """A store that records the items that are read completely."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.read_whole: list[Key] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 — any other call
        return getattr(self._store, name)

    def get_many(self, keys: Sequence[Key], *, only: Sequence[str] = ()) -> dict[Key, dict[str, Value]]:
        """See `Store.get_many`."""
        self.read_whole += [] if only else keys
        return self._store.get_many(keys, only=only)


class TestFilteredPage:
    CANCELLED = RunFilter(status=Status.CANCELLED)

    def test_loads_only_matching_runs_completely(self, world: World) -> None:
        ids = _add(world, 60)
        chosen = ids[10], ids[50]
        for run_id in chosen:
            cancel_run(world.runs, world.budgets, run_id, now=NOW, if_match=None)
        watched = Watched(world.store)
        runs = RunTable(watched, TENANT, world.runs.payloads)  # pyright: ignore[reportArgumentType, reportPrivateUsage]  # a store in effect
        found, place = runs.listing.page(self.CANCELLED, limit=100, after=None)
        assert ([run.run_id for run in found], place) == (list(chosen), None)
        assert [run.inputs for run in found] == [{"message": "Hi"}] * 2
        assert watched.read_whole == [world.runs.key(run_id) for run_id in chosen]

    def test_ends_before_the_invocation_and_can_be_continued(self, world: World) -> None:
        ids = _add(world, 3)
        with invocation(FakeLambdaContext(MARGIN_S + 0.5)):
            assert world.runs.listing.page(self.CANCELLED, limit=100, after=None) == ([], ids[0])
            assert world.runs.listing.page(self.CANCELLED, limit=100, after=ids[1]) == ([], None)


class TestPage:
    def test_is_bounded_in_bytes_without_omitting_runs(self, world: World) -> None:
        large = "x" * 60_000
        ids = _add(world, 50, inputs={"message": large}, output={"message": large})
        pages = _pages(world.runs)
        assert [run.run_id for page in pages for run in page] == ids
        assert len(pages) == 3
        sizes = [sum(len(ShownRun.of(run).model_dump_json()) for run in page) for page in pages]
        assert max(sizes) <= MAX_PAGE_BYTES

    def test_has_at_least_one_run(self, world: World) -> None:
        ids = _add(world, 2)
        pages: list[str] = []
        place: str | None = None
        while place or not pages:
            page, place = world.runs.listing.page(
                RunFilter(), limit=100, after=place, bytes_of=lambda _: MAX_PAGE_BYTES + 1
            )
            pages += [run.run_id for run in page]
            assert len(page) == 1
        assert pages == ids

    def test_reads_nothing_from_the_bucket(self, world: World) -> None:
        large = "x" * 100_000
        asking = Message("assistant", "", tool_calls=(ToolCall("c", "look", json.dumps(large)),))
        _add(
            world,
            1,
            inputs={"message": large},
            metadata={"note": large},
            turns=(asking,),
            output={"message": large},
            status=Status.REQUIRES_ACTION,
        )
        [[run]] = _pages(RunTable(world.store, TENANT, Payloads(NoBucket())))  # pyright: ignore[reportArgumentType]  # never used
        size = len('{"note":""}') + len(large)
        assert run.metadata == {"artifact": {"bytes": size}}
        assert (run.turns, run.tool_calls) == ((), ())
        assert ShownRun.of(run).required_action is None

    def test_contains_required_tool_calls(self, world: World) -> None:
        asking = Message("assistant", "", tool_calls=(ToolCall("c", "look", "{}"),))
        _add(world, 1, turns=(asking,), status=Status.REQUIRES_ACTION)
        [[run]] = _pages(world.runs)
        assert run.tool_calls == asking.tool_calls
