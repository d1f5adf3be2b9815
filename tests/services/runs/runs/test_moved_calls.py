"""Calls of ended attempts are moved out of the run's item, so that it stays small."""

import gzip
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.runs.budgets.domain import Spent
from services.runs.deletion.operations import delete_run
from services.runs.errors import LeaseLost, RunNotFound
from services.runs.execution.domain.retry import MAX_CALLS_PER_MODEL
from services.runs.history.domain.log import entries
from services.runs.history.domain.trace import spans
from services.runs.partitions import CALLS, TENANT_PARTITIONS
from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.conversation import ToolCall
from services.runs.runs.domain.lifecycle import MAX_CALLS_IN_RUN, MAX_LOST_ATTEMPTS, MAX_TOOL_TURNS
from services.runs.runs.domain.run import CallEnd, CallId, Cost, OpenCall, Outcome, Run, RunError, Status
from services.runs.runs.operations.reconciliation import calls_of, republish, tallies
from services.runs.runs.table.listing import RunFilter
from shared.export.part import Size, next_part
from shared.export.sources import rows_of
from shared.meters import Meter
from shared.storage.items import Key, item_to_wire
from shared.storage.transaction import Expression
from tests.services.runs.budgets.fixtures import LIMIT, bound_of, budget_of, left_of, limit, sweep_later
from tests.services.runs.conftest import World
from tests.services.runs.examples import CALL, NOW, RUN_ID, TENANT, submitted
from tests.services.runs.workers import acquire_lease, reaped, submit

LONGEST_MODEL = "m" * 200
CALLS_OF_AN_ATTEMPT = 11 * MAX_CALLS_PER_MODEL
"""A config names at most ten fallbacks."""
SPENT = {Meter.TOKENS_IN: 7, Meter.TOKENS_OUT: 1}
ITEM_BYTES = 400 * 1024
"""DynamoDB's limit of an item."""


def _open(number: int) -> OpenCall:
    return replace(CALL, number=number, model=LONGEST_MODEL, bound_nano_usd=10**9)


def _end(outcome: Outcome) -> CallEnd:
    meters = dict.fromkeys((Meter.TOKENS_CACHE_READ, Meter.TOKENS_CACHE_WRITE, Meter.TOKENS_REASONING), 1_000_000)
    return CallEnd(outcome, {**meters, **SPENT}, cost=Cost(1, "genai-prices 2026.11"))


def _attempt(world: World, run_id: str, *, calls: int, now: datetime = NOW) -> Run:
    """Lease a run and end these calls except the last."""
    run = acquire_lease(world, run_id, now=now)
    assert run
    for number in range(1, calls):
        if run.open_call is None:
            run = lifecycle.begin_call(run, _open(number), now=now)
            world.runs.begin_call(run, now=now)
        after, events = lifecycle.end_call(run, _end(Outcome.FAILED), now=now)
        world.runs.save(run, after, events)
        run = after
    begun = lifecycle.begin_call(run, _open(calls), now=now)
    world.runs.begin_call(begun, now=now)
    return begun


def _ask_for_tools(world: World, run: Run) -> None:
    change = lifecycle.require_tools(run, _end(Outcome.COMPLETED), "", [ToolCall("c", "look", "{}")], now=NOW)
    world.runs.save(run, *change)


def _give_outputs(world: World, run_id: str) -> None:
    run = world.runs.get(run_id)
    answered, events = lifecycle.accept_tool_outputs(run, {"c": "yes"}, now=NOW)
    world.runs.save(run, lifecycle.plan_turn(answered, _open(1)), events)


def _item(world: World) -> dict[str, Any]:
    item = world.store.get(world.runs.key(RUN_ID))
    assert item
    return item


def _bytes(item: dict[str, Any]) -> int:
    """Return an upper bound of the size that DynamoDB counts."""
    return len(json.dumps(item_to_wire(item)))


def _beside(world: World) -> list[str]:
    items = world.store.query_all(Expression("#PK = :pk", {"pk": world.runs.key(RUN_ID).pk}))
    return [str(item["SK"]) for item in items if str(item["SK"]).startswith(CALLS)]


@pytest.fixture
def turns(world: World) -> Run:
    """Return a run in its third attempt after two with the maximum number of calls."""
    world.runs.create(*submitted(metadata={"note": "n" * 300_000}), idempotency_key=None, storage_gb=1)
    for _ in range(2):
        _ask_for_tools(world, _attempt(world, RUN_ID, calls=CALLS_OF_AN_ATTEMPT))
        _give_outputs(world, RUN_ID)
    run = _attempt(world, RUN_ID, calls=2)
    assert world.runs.get(RUN_ID) == run
    return run


class TestItem:
    def test_stays_small_with_the_maximum_attempts_calls_and_metadata(self, world: World) -> None:
        size = 60_000
        world.runs.create(
            *submitted(metadata={"note": "n" * size}, inputs={"message": "i" * size}),
            idempotency_key=None,
            storage_gb=1,
        )
        largest = 0
        for _ in range(MAX_TOOL_TURNS):
            _ask_for_tools(world, _attempt(world, RUN_ID, calls=CALLS_OF_AN_ATTEMPT))
            largest = max(largest, _bytes(_item(world)))
            _give_outputs(world, RUN_ID)
        for lost in range(1, MAX_LOST_ATTEMPTS + 1):
            _attempt(world, RUN_ID, calls=CALLS_OF_AN_ATTEMPT)
            largest = max(largest, _bytes(_item(world)))
            assert reaped(world, now=NOW + timedelta(minutes=lost)) == 1
        run = world.runs.get(RUN_ID)
        assert (run.status, run.error and run.error.code) == (Status.FAILED, "AttemptsExhausted")
        assert len(run.calls) == (MAX_TOOL_TURNS + MAX_LOST_ATTEMPTS) * CALLS_OF_AN_ATTEMPT
        assert run.usage[Meter.REQUESTS] == 1
        assert largest < ITEM_BYTES / 2

    def test_keeps_the_calls_of_an_ordinary_run(self, world: World) -> None:
        world.runs.create(*submitted(), idempotency_key=None)
        for _ in range(MAX_CALLS_IN_RUN // 2):
            _ask_for_tools(world, _attempt(world, RUN_ID, calls=2))
            _give_outputs(world, RUN_ID)
        assert _beside(world) == []
        _ask_for_tools(world, _attempt(world, RUN_ID, calls=1))
        assert len(_beside(world)) == MAX_CALLS_IN_RUN // 2 + 1
        assert len(world.runs.get(RUN_ID).calls) == MAX_CALLS_IN_RUN + 1


class TestMovedCalls:
    def test_are_part_of_the_run_but_not_of_its_state(self, world: World, turns: Run) -> None:
        assert [len(attempt.calls) for attempt in turns.attempts] == [CALLS_OF_AN_ATTEMPT, CALLS_OF_AN_ATTEMPT, 1]
        state = world.runs.states([RUN_ID])[RUN_ID]
        assert [len(attempt.calls) for attempt in state.attempts] == [0, 0, 1]
        assert (state.moved_attempts, state.has_ended_call) == (2, True)

    def test_are_included_in_lists_logs_and_traces(self, world: World, turns: Run) -> None:
        [listed], _ = world.runs.listing.page(RunFilter(), limit=10, after=None)
        assert (listed.usage, listed.attempts) == (turns.usage, turns.attempts)
        ended = [entry for entry in entries(turns) if entry.event == "call_ended"]
        assert len(ended) == len(turns.calls) == 2 * CALLS_OF_AN_ATTEMPT + 1
        assert sum(span.name.startswith("chat") for span in spans(turns)) == len(turns.calls) + 1

    def test_are_not_written_without_the_lease(self, world: World) -> None:
        world.runs.create(*submitted(), idempotency_key=None)
        run = _attempt(world, RUN_ID, calls=CALLS_OF_AN_ATTEMPT)
        state = world.runs.states([RUN_ID])[RUN_ID]
        world.runs.save(state, *lifecycle.recover(state, now=NOW))
        before = [world.store.get(Key(world.runs.key(RUN_ID).pk, key)) for key in _beside(world)]
        with pytest.raises(LeaseLost):
            _ask_for_tools(world, run)
        assert [world.store.get(Key(world.runs.key(RUN_ID).pk, key)) for key in _beside(world)] == before
        [attempt] = world.runs.get(RUN_ID).attempts
        assert attempt.calls[-1].status is Outcome.LOST

    def test_are_moved_by_the_reaper_from_the_state_alone(self, world: World, turns: Run) -> None:
        world.runs.save(turns, *lifecycle.recover(turns, now=NOW))
        _attempt(world, RUN_ID, calls=CALLS_OF_AN_ATTEMPT)
        assert reaped(world, now=NOW + timedelta(minutes=1)) == 1
        run = world.runs.get(RUN_ID)
        assert [len(attempt.calls) for attempt in run.attempts] == [
            CALLS_OF_AN_ATTEMPT,
            CALLS_OF_AN_ATTEMPT,
            2,
            CALLS_OF_AN_ATTEMPT,
        ]
        assert run.usage[Meter.REQUESTS] == 1

    def test_keep_the_request_with_the_first_call(self, world: World) -> None:
        world.runs.create(*submitted(), idempotency_key=None)
        _ask_for_tools(world, _attempt(world, RUN_ID, calls=CALLS_OF_AN_ATTEMPT))
        _give_outputs(world, RUN_ID)
        _attempt(world, RUN_ID, calls=1)
        assert world.runs.states([RUN_ID])[RUN_ID].calls == ()
        assert reaped(world, now=NOW + timedelta(minutes=1)) == 1
        assert world.runs.get(RUN_ID).usage[Meter.REQUESTS] == 1

    def test_are_compared_with_the_ledger(self, world: World, turns: Run) -> None:
        span = RUN_ID[:10]
        assert [call_id for call_id, _ in calls_of(world.runs, span)] == [call_id for call_id, _ in turns.ended_calls]
        day = timedelta(days=1)
        found, place = tallies(world.runs, start=NOW - day, end=NOW + day, after=None)
        assert ({key: tally.calls for key, tally in found.items()}, place) == ({span: len(turns.calls)}, None)

    def test_can_be_republished(self, world: World, turns: Run) -> None:
        calls = [CallId(RUN_ID, 1, 7), CallId(RUN_ID, 3, 1), CallId(RUN_ID, 2, CALLS_OF_AN_ATTEMPT + 1)]
        assert republish(world.runs, calls) == [str(call) for call in calls[:2]]
        assert turns.ended_call(calls[2]) is None

    def test_are_deleted_with_their_run(self, world: World, turns: Run) -> None:
        world.runs.save(turns, *lifecycle.fail(turns, None, RunError("X", "x"), now=NOW))
        assert len(_beside(world)) == 2
        item = _item(world)
        delete_run(world.runs, world.budgets, RUN_ID, now=NOW, if_match=None)
        assert _beside(world) == []
        with pytest.raises(RunNotFound):
            world.runs.calls.load(world.runs.state(item))

    def test_are_exported_with_it(self, world: World, turns: Run) -> None:
        part = next_part(list(rows_of(world.store, TENANT_PARTITIONS, TENANT, NOW)), None, Size())
        lines = [json.loads(line) for line in gzip.decompress(part.body).splitlines()]
        exported = [line for line in lines if line["key"][0].startswith("RUN#")]
        assert [line["key"][1] for line in exported] == ["RUN", f"{CALLS}001", f"{CALLS}002"]
        assert sum(len(line["item"]["calls"]) for line in exported[1:]) == len(turns.calls) - 1


class TestSweep:
    def test_settles_a_moved_call_by_its_usage(self, world: World) -> None:
        """A sweep that treats the call as unsent would never count its tokens."""
        limit(world)
        run = submit(world)
        assert left_of(world) == Spent(99, LIMIT - bound_of(run))
        _ask_for_tools(world, _attempt(world, run.run_id, calls=CALLS_OF_AN_ATTEMPT))
        state = world.runs.states([run.run_id])[run.run_id]
        assert (state.moved_attempts, state.calls) == (1, ())
        assert sweep_later(world)
        assert left_of(world) == Spent(99, LIMIT - sum(SPENT.values()))
        assert budget_of(world).open == {}
