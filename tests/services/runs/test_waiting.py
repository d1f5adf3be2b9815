"""Waiting for a run that a worker executes at once, and what is not read twice for it."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import repeat
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from services.runs.consumer import worker
from services.runs.domain.budget import Budget, month_of
from services.runs.domain.run import Outcome, Run, Status
from services.runs.errors import RunNotFound, WorkerNotReached
from services.runs.gateways.model import Ended, Text
from services.runs.gateways.workers import FakeWorkers, LambdaWorkers, Workers
from services.runs.operations.reaping import reap
from services.runs.operations.submission import Submitted
from services.runs.operations.waiting import execute_and_wait
from services.runs.table.agents import AgentCopies
from services.runs.table.runs import RunTable
from shared.meters import Meter
from shared.storage.items import Item
from shared.storage.payloads import Payloads
from shared.storage.store import Store
from shared.times import utc_now
from tests.services.runs.conftest import World, know_version
from tests.services.runs.runs import AGENT_ID, TENANT
from tests.services.runs.work import LATER, ScriptedModel, execute, outbox, submit_as_written, worker_of
from tests.shared.storage.scripted import ScriptedDatabase

ANSWER = (Text("Hello"), Ended({Meter.TOKENS_IN: 3, Meter.TOKENS_OUT: 2}))


def _invoke(run: Item) -> dict[str, Any] | None:
    """The worker, with what is said to it and its answer as they come over the wire."""
    answer = worker.handler(json.loads(json.dumps({"run": run})))
    return json.loads(json.dumps(answer))["written"]


def _unread(world: World) -> RunTable:
    """A table that no run can be read from."""
    store = Store(ScriptedDatabase([AssertionError()]), table="none", owned=world.store.owned)
    return RunTable(store, Payloads(world.documents))


def _wait(workers: Workers, runs: RunTable, submitted: Submitted) -> Run:
    return execute_and_wait(workers, runs, submitted, wait_s=3, clock=lambda: LATER)


def _not_there(_: Item) -> None:
    raise WorkerNotReached


class TestExecuteAndWait:
    @pytest.mark.parametrize("message", ["Hello", "x" * 100_000])
    def test_shows_what_the_worker_has_written_without_reading_it(self, world: World, message: str) -> None:
        submitted = submit_as_written(world, message=message, now=utc_now())
        done = _wait(FakeWorkers(_invoke), _unread(world), submitted)
        assert done.status is Status.COMPLETED
        assert done == world.runs.get(TENANT, submitted.run.run_id)

    def test_reads_the_run_when_the_wait_is_over(self, world: World) -> None:
        submitted = submit_as_written(world)
        assert _wait(FakeWorkers(), world.runs, submitted) == submitted.run

    def test_refuses_to_show_another_run(self, world: World) -> None:
        submitted, other = submit_as_written(world, now=utc_now()), submit_as_written(world, now=utc_now())

        def mistaken(_: Item) -> dict[str, Any] | None:
            return _invoke(other.written)

        with pytest.raises(RunNotFound):
            _wait(FakeWorkers(mistaken), world.runs, submitted)


def _budget(world: World) -> Budget:
    budget = world.budgets.find(TENANT, month_of(LATER))
    assert budget
    return budget


class TestWithoutAWorker:
    def test_the_run_goes_to_the_queue_as_if_nobody_had_waited(self, world: World) -> None:
        submitted = submit_as_written(world)
        run = _wait(FakeWorkers(_not_there), world.runs, submitted)
        assert run == world.runs.get(TENANT, run.run_id)
        assert (run.status, run.attempt, run.attempts, run.started_at) == (Status.QUEUED, 0, (), None)
        assert outbox(world) == [f"{run.run_id}:queued:{run.seq}"]
        done = execute(world, run)
        assert (done.status, done.attempt, len(done.attempts)) == (Status.COMPLETED, 1, 1)

    def test_what_was_held_for_it_is_used_by_the_queue(self, world: World) -> None:
        submitted = submit_as_written(world)
        held = _budget(world).open
        run = _wait(FakeWorkers(_not_there), world.runs, submitted)
        assert _budget(world).open == held
        execute(world, run)
        assert not _budget(world).open

    def test_a_run_that_was_cancelled_meanwhile_is_shown_as_it_is(self, world: World) -> None:
        submitted = submit_as_written(world)
        world.runs.request_cancel(submitted.run, now=LATER)
        run = _wait(FakeWorkers(_not_there), world.runs, submitted)
        assert (run.status, run.cancel_requested) == (Status.RUNNING, True)


class TestLease:
    def test_that_was_long_on_its_way_is_extended_first(self, world: World) -> None:
        submitted = submit_as_written(world)
        due_at = submitted.run.due_at
        assert due_at
        seen: list[datetime | None] = []

        def look() -> None:
            seen.append(world.runs.get(TENANT, submitted.run.run_id).due_at)

        execute(world, submitted.run, ScriptedModel([[look, *ANSWER]]), clock=repeat(LATER + timedelta(seconds=12)))
        assert seen == [due_at + timedelta(seconds=12)]

    def test_that_is_over_lets_nothing_be_sent(self, world: World) -> None:
        submitted = submit_as_written(world)
        reap(world.runs, world.budgets, now=LATER + timedelta(seconds=31))

        models = ScriptedModel([])
        worker_of(world, models, clock=repeat(LATER + timedelta(seconds=32))).execute_leased(submitted.written)
        assert models.requests == []
        run = world.runs.get(TENANT, submitted.run.run_id)
        assert (run.status, run.attempts[0].outcome) == (Status.QUEUED, Outcome.LOST)


def _refusing(error: Exception) -> Callable[[int], Any]:
    def invoke(**_: str) -> None:
        raise error

    return lambda _wait_s: SimpleNamespace(invoke=invoke)


def _refused(status: int) -> ClientError:
    said: Any = {"Error": {"Code": "Any"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(said, "Invoke")


class TestLambdaWorkers:
    @pytest.mark.parametrize(
        "error",
        [
            _refused(429),
            _refused(404),
            EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        ],
    )
    def test_know_when_nothing_has_begun(self, error: Exception) -> None:
        with pytest.raises(WorkerNotReached):
            LambdaWorkers(_refusing(error), function="worker").execute({"run_id": "run_1"}, wait_s=1)

    @pytest.mark.parametrize(
        "error",
        [
            _refused(500),
            ReadTimeoutError(endpoint_url="http://127.0.0.1:1"),
            ConnectionClosedError(endpoint_url="http://127.0.0.1:1"),
        ],
    )
    def test_do_not_know_what_a_lost_answer_said(self, error: Exception) -> None:
        assert LambdaWorkers(_refusing(error), function="worker").execute({"run_id": "run_1"}, wait_s=1) is None


class TestAgentCopies:
    def test_read_a_version_once(self, world: World) -> None:
        copies = AgentCopies(world.store)
        known = copies.find_version(TENANT, AGENT_ID, 1)
        assert known
        assert copies.find_version(TENANT, AGENT_ID, 1) is known

    def test_read_again_what_was_not_there(self, world: World) -> None:
        copies = AgentCopies(world.store)
        assert copies.find_version(TENANT, AGENT_ID, 2) is None
        know_version(world, 2)
        assert copies.find_version(TENANT, AGENT_ID, 2)

    def test_another_tenants_version_is_another_one(self, world: World) -> None:
        copies = AgentCopies(world.store)
        assert copies.find_version(TENANT, AGENT_ID, 1)
        assert copies.find_version("other", AGENT_ID, 1) is None
