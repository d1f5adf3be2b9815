"""Waited runs, and the reads that they save."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from services.runs.agents.table import AgentCopies
from services.runs.budgets.domain import Budget, month_of
from services.runs.errors import RunNotFound, WorkerNotReached
from services.runs.execution.gateway import FakeWorkers, LambdaWorkers, Workers
from services.runs.execution.operations.cancel import cancel_run
from services.runs.execution.operations.wait import RunWaiter
from services.runs.functions import worker
from services.runs.partitions import SLICE
from services.runs.providers.domain.model import StreamEnd, TextDelta
from services.runs.runs.domain.lifecycle import LEASE
from services.runs.runs.domain.run import Run, Status
from services.runs.runs.table.runs import RunTable
from shared.deadline import invocation
from shared.meters import Meter
from shared.storage.payloads import Payloads
from shared.storage.store import Store
from shared.times import utc_now
from tests.invocations import FakeLambdaContext
from tests.services.runs.conftest import World, know_version
from tests.services.runs.examples import AGENT_ID, TENANT
from tests.services.runs.workers import LATER, ScriptedModel, execute, outbox, reaped, submit
from tests.shared.storage.scripted_database import ScriptedDatabase

ANSWER = (TextDelta("Hello"), StreamEnd({Meter.TOKENS_IN: 3, Meter.TOKENS_OUT: 2}))


@dataclass
class Time:
    """A clock that only sleeping advances."""

    now: float = 0.0
    on_sleep: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        """Advance the clock."""
        self.now += seconds
        self.on_sleep()


def _invoke(tenant_id: str, run_id: str) -> dict[str, Any] | None:
    """Invoke the worker with encoded input and output."""
    answer = worker.handler(json.loads(json.dumps({"tenant_id": tenant_id, "run_id": run_id})))
    return json.loads(json.dumps(answer))["written"]


def _unread(world: World) -> RunTable:
    """Return a run table that fails to read."""
    store = Store(ScriptedDatabase([AssertionError()]), table="none", owned=world.store.owned)
    return RunTable(store, TENANT, Payloads(world.documents))


def _wait(workers: Workers, runs: RunTable, run: Run, *, time: Time | None = None, wait_s: int = 3) -> Run:
    clock = time or Time()
    waiting = RunWaiter(workers, runs, clock=lambda: LATER, sleep=clock.sleep, monotonic=lambda: clock.now)
    return waiting.execute_and_wait(run, wait_s=wait_s)


def _not_there(_tenant_id: str, _run_id: str) -> None:
    raise WorkerNotReached


def _waiter(runs: RunTable, time: Time) -> RunWaiter:
    return RunWaiter(FakeWorkers(_not_there), runs, clock=lambda: LATER, sleep=time.sleep, monotonic=lambda: time.now)


class TestWaitForAContinuedRun:
    def test_returns_the_run_at_its_end(self, world: World) -> None:
        run = submit(world)
        time = Time(on_sleep=lambda: execute(world, run, ScriptedModel([ANSWER])))
        done = _waiter(world.runs, time).wait(run, wait_s=3)
        assert (done.status, done.output) == (Status.COMPLETED, {"message": "Hello"})
        assert time.now < 3

    def test_returns_the_run_as_it_is_when_the_wait_is_over(self, world: World) -> None:
        time = Time()
        assert _waiter(world.runs, time).wait(submit(world), wait_s=3).status is Status.QUEUED
        assert time.now == 3

    def test_returns_the_stored_run_when_it_cannot_be_read(self, world: World) -> None:
        run = submit(world)
        silent = Store(ScriptedDatabase([EndpointConnectionError(endpoint_url="x")] * 9), table="t", owned=SLICE)
        assert _waiter(RunTable(silent, TENANT, Payloads(world.documents)), Time()).wait(run, wait_s=3) is run


class TestExecuteAndWait:
    @pytest.mark.parametrize("message", ["Hello", "x" * 100_000])
    def test_returns_the_workers_result_without_a_read(self, world: World, message: str) -> None:
        run = submit(world, waited=True, message=message, now=utc_now())
        done = _wait(FakeWorkers(_invoke), _unread(world), run)
        assert done.status is Status.COMPLETED
        assert done == world.runs.get(run.run_id)

    @pytest.mark.parametrize("message", ["Go on. [[error 400]]", "[[tool weather {}]]"])
    def test_returns_every_other_end_as_stored(self, world: World, message: str) -> None:
        version = know_version(world, 2, tools=[{"name": "weather"}])
        run = submit(world, waited=True, version=version, message=message, now=utc_now())
        done = _wait(FakeWorkers(_invoke), _unread(world), run)
        assert done.status in {Status.FAILED, Status.REQUIRES_ACTION}
        assert done == world.runs.get(run.run_id)

    def test_reads_the_run_when_the_wait_is_over(self, world: World) -> None:
        run = submit(world, waited=True)
        assert _wait(FakeWorkers(), world.runs, run) == run

    def test_refuses_the_item_of_another_run(self, world: World) -> None:
        run, other = (submit(world, waited=True, now=utc_now()) for _ in range(2))

        def mistaken(tenant_id: str, _: str) -> dict[str, Any] | None:
            return _invoke(tenant_id, other.run_id)

        with pytest.raises(RunNotFound):
            _wait(FakeWorkers(mistaken), world.runs, run)

    @pytest.mark.report(21)
    def test_waits_no_longer_than_the_request_allows(self, world: World) -> None:
        run, workers = submit(world, waited=True), FakeWorkers()
        with invocation(FakeLambdaContext(12)):
            _wait(workers, world.runs, run, wait_s=25)
        assert workers.executed == [(run.run_id, 10)]

    @pytest.mark.report(21)
    def test_queues_the_run_when_no_time_is_left(self, world: World) -> None:
        run, workers = submit(world, waited=True), FakeWorkers()
        with invocation(FakeLambdaContext(3)):
            queued = _wait(workers, world.runs, run, wait_s=25)
        assert (workers.executed, queued.run_id) == ([], run.run_id)
        assert outbox(world) == [f"{run.run_id}:queued:{queued.seq}"]

    @pytest.mark.report(21)
    def test_returns_the_stored_run_when_it_cannot_be_read(self, world: World) -> None:
        run = submit(world, waited=True)
        silent = Store(ScriptedDatabase([EndpointConnectionError(endpoint_url="x")] * 9), table="t", owned=SLICE)
        assert _wait(FakeWorkers(), RunTable(silent, TENANT, Payloads(world.documents)), run) == run


def _budget(world: World) -> Budget:
    budget = world.budgets.find(month_of(LATER))
    assert budget
    return budget


class TestWithoutAWorker:
    def test_queues_the_run(self, world: World) -> None:
        run = _wait(FakeWorkers(_not_there), world.runs, submit(world, waited=True))
        assert run == world.runs.get(run.run_id)
        assert (run.status, run.attempt, run.attempts, run.started_at) == (Status.QUEUED, 0, (), None)
        assert outbox(world) == [f"{run.run_id}:queued:{run.seq}"]
        done = execute(world, run)
        assert (done.status, done.attempt, len(done.attempts)) == (Status.COMPLETED, 1, 1)

    def test_still_waits_for_the_run(self, world: World) -> None:
        run = submit(world, waited=True)
        time = Time(on_sleep=lambda: execute(world, run))
        assert _wait(FakeWorkers(_not_there), world.runs, run, time=time).status is Status.COMPLETED
        assert time.now < 1

    def test_uses_the_reservation_through_the_queue(self, world: World) -> None:
        submitted = submit(world, waited=True)
        held = _budget(world).open
        run = _wait(FakeWorkers(_not_there), world.runs, submitted)
        assert _budget(world).open == held
        execute(world, run)
        assert not _budget(world).open

    def test_returns_a_run_that_was_cancelled_meanwhile(self, world: World) -> None:
        run = submit(world, waited=True)
        cancel_run(world.runs, world.budgets, run.run_id, now=LATER, if_match=None)
        assert _wait(FakeWorkers(_not_there), world.runs, run).status is Status.CANCELLED


class TestLease:
    def test_begins_with_the_worker(self, world: World) -> None:
        run = submit(world, waited=True)
        late = LATER + timedelta(seconds=25)
        seen: list[datetime | None] = []

        def look() -> None:
            seen.append(world.runs.get(run.run_id).due_at)

        execute(world, run, ScriptedModel([[look, *ANSWER]]), clock=repeat(late))
        assert seen == [late + LEASE]

    def test_of_a_late_worker_sends_nothing(self, world: World) -> None:
        run = submit(world, waited=True)
        assert reaped(world, now=LATER + timedelta(seconds=31)) == 1
        execute(world, run, ScriptedModel([ANSWER]))

        models = ScriptedModel([])
        done = execute(world, run, models, clock=repeat(LATER + timedelta(seconds=32)))
        assert (models.requests, done.status, done.attempt) == ([], Status.COMPLETED, 1)

    def test_is_extended_before_sending_when_it_is_old(self, world: World) -> None:
        run = submit(world)
        # The config is read twelve seconds after the run was leased.
        ticks = chain(repeat(LATER, 3), repeat(LATER + timedelta(seconds=12)))
        seen: list[datetime | None] = []

        def look() -> None:
            seen.append(world.runs.get(run.run_id).due_at)

        execute(world, run, ScriptedModel([[look, *ANSWER]]), clock=ticks)
        assert seen == [LATER + timedelta(seconds=12) + LEASE]


def _refusing(error: Exception) -> Callable[[int], Any]:
    def invoke(**_: str) -> None:
        raise error

    return lambda _wait_s: SimpleNamespace(invoke=invoke)


def _refused(status: int) -> ClientError:
    payload: Any = {"Error": {"Code": "Any"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(payload, "Invoke")


class TestLambdaWorkers:
    @pytest.mark.parametrize(
        "error",
        [
            _refused(429),
            _refused(404),
            EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        ],
    )
    def test_detect_that_no_execution_has_started(self, error: Exception) -> None:
        with pytest.raises(WorkerNotReached):
            LambdaWorkers(_refusing(error), function="worker").execute(TENANT, "run_1", wait_s=1)

    @pytest.mark.parametrize(
        "error",
        [
            _refused(500),
            ReadTimeoutError(endpoint_url="http://127.0.0.1:1"),
            ConnectionClosedError(endpoint_url="http://127.0.0.1:1"),
        ],
    )
    def test_return_none_when_a_response_is_lost(self, error: Exception) -> None:
        assert LambdaWorkers(_refusing(error), function="worker").execute(TENANT, "run_1", wait_s=1) is None


class TestAgentCopies:
    def test_read_a_version_once(self, world: World) -> None:
        copies = AgentCopies(world.store)
        known = copies.find_version(TENANT, AGENT_ID, 1)
        assert known
        assert copies.find_version(TENANT, AGENT_ID, 1) is known

    def test_read_a_missing_version_again(self, world: World) -> None:
        copies = AgentCopies(world.store)
        assert copies.find_version(TENANT, AGENT_ID, 2) is None
        know_version(world, 2)
        assert copies.find_version(TENANT, AGENT_ID, 2)

    def test_cache_versions_per_tenant(self, world: World) -> None:
        copies = AgentCopies(world.store)
        assert copies.find_version(TENANT, AGENT_ID, 1)
        assert copies.find_version("other", AGENT_ID, 1) is None
