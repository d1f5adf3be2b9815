"""Events, the worker and the reaper."""

import json
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from services.runs.agents.table import AgentCopies
from services.runs.execution import consumer as execution
from services.runs.execution.operations.planning import Planner
from services.runs.execution.operations.submission import submit_run
from services.runs.execution.operations.worker import Worker
from services.runs.functions import consumer as events
from services.runs.functions import reaper, worker
from services.runs.providers.domain.model import Model, StreamEnd, StreamPart, TextDelta
from services.runs.providers.domain.request import ModelRequest
from services.runs.runs.domain.run import RunRequest, Status
from shared.events.agents import AgentAliasMoved, AgentCreated, AgentDeleted, AgentVersionPublished
from shared.events.envelope import Event, EventData, new_event
from shared.events.runs import RunQueued
from shared.ids import new_id
from shared.meters import Meter
from shared.times import utc_now
from tests.messages import batch
from tests.services.runs.conftest import CONFIG, World, know_tenant
from tests.services.runs.examples import AGENT_ID, NOW, TENANT
from tests.services.runs.workers import COST, access, acquire_lease, always, execute, submit, worker_of

AGENT = new_id("agt", NOW)


def _payload(data: EventData, *, seq: int = 1, tenant_id: str = TENANT) -> Event[Any]:
    return new_event(
        data, event_id=f"{data.TYPE}:{seq}", tenant_id=tenant_id, subject="it", seq=seq, at=datetime.now(UTC)
    )


def _state(live: int, latest: int) -> dict[str, Any]:
    return {"agent_id": AGENT, "live_version": live, "latest_version": latest}


class TestAgentEvents:
    def test_converge_in_any_order(self, world: World) -> None:
        payload = [
            _payload(AgentCreated(**_state(1, 1)), seq=1),
            _payload(AgentAliasMoved(**_state(2, 2)), seq=2),
            _payload(AgentDeleted(agent_id=AGENT), seq=3),
        ]
        for place, order in enumerate(permutations(payload)):
            tenant_id = f"tenant-{place}"
            moved = [event.model_copy(update={"tenant_id": tenant_id}) for event in order]
            assert events.handler(batch(*moved)) == {"batchItemFailures": []}
            known = AgentCopies(world.store).find_agent(tenant_id, AGENT)
            assert known is not None
            assert known.deleted

    def test_ignore_unknown_fields(self, world: World) -> None:
        events.handler(batch(_payload(AgentCreated(**_state(1, 1))), extra={"colour": "red"}))
        assert AgentCopies(world.store).find_agent(TENANT, AGENT) is not None

    def test_make_a_version_executable(self, world: World) -> None:
        payload = AgentVersionPublished(
            agent_id=AGENT, version=7, config_key=world.config.key, config_sha256=world.config.sha256
        )
        events.handler(batch(_payload(payload)))
        known = AgentCopies(world.store).find_version(TENANT, AGENT, 7)
        assert known is not None
        assert known.config == world.config


class TestConsumer:
    @pytest.mark.usefixtures("world")
    def test_retries_only_the_failed_message(self, world: World) -> None:
        messages = batch(_payload(AgentCreated(**_state(1, 1))), _payload(AgentDeleted(agent_id=AGENT_ID), seq=9))
        messages["Records"][0]["body"] = "{"
        assert events.handler(messages) == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
        known = AgentCopies(world.store).find_agent(TENANT, AGENT_ID)
        assert known is not None
        assert known.deleted


def _submit(world: World, tenant_id: str = TENANT) -> str:
    asked = RunRequest(
        run_id=new_id("run", NOW),
        agent_id=AGENT_ID,
        version=None,
        inputs={"message": f"I am of {tenant_id}"},
        metadata={},
        max_output_tokens=None,
        max_cost_nano_usd=None,
        request_id="request",
        trace_id="",
        waited=False,
    )
    known = access(world, tenant_id)
    runs, planner = world.all_runs.of(tenant_id), Planner(world.all_budgets.of(tenant_id), always(COST))
    copies = AgentCopies(world.store)
    return submit_run(copies, runs, world.documents, planner, known, asked, now=NOW).run_id


def _queued(run_id: str, tenant_id: str = TENANT) -> Event[Any]:
    return new_event(
        RunQueued(run_id=run_id), event_id=f"{run_id}:queued:1", tenant_id=tenant_id, subject=run_id, seq=1, at=NOW
    )


def _invoked(run_id: str) -> dict[str, Any]:
    return {"tenant_id": TENANT, "run_id": run_id}


class TestWorker:
    def test_executes_a_batch_of_two_tenants_concurrently(self, world: World) -> None:
        other = "enterprise-test"
        know_tenant(world.store, other)
        config = world.documents.write(other, f"agents/{AGENT_ID}/versions/1.json", CONFIG)
        for event in (
            AgentCreated(agent_id=AGENT_ID, live_version=1, latest_version=1),
            AgentVersionPublished(agent_id=AGENT_ID, version=1, config_key=config.key, config_sha256=config.sha256),
        ):
            events.handler(batch(_payload(event, tenant_id=other)))
        runs = [(tenant_id, _submit(world, tenant_id)) for tenant_id in (TENANT, other) for _ in range(2)]
        answer = worker.handler(batch(*(_queued(run_id, tenant_id) for tenant_id, run_id in runs)))
        assert answer == {"batchItemFailures": []}
        for tenant_id, run_id in runs:
            run = world.all_runs.of(tenant_id).get(run_id)
            assert run.output == {"message": f"This is a simulated answer. You said: I am of {tenant_id}"}

    def test_acknowledges_an_ended_run(self, world: World) -> None:
        run_id = _submit(world)
        worker.handler(batch(_queued(run_id)))
        done = world.runs.get(run_id)
        assert worker.handler(batch(_queued(run_id))) == {"batchItemFailures": []}
        assert world.runs.get(run_id) == done

    def test_executes_the_run_of_a_direct_invocation(self, world: World) -> None:
        run = submit(world, waited=True, now=utc_now())
        answer = worker.handler(_invoked(run.run_id))
        done = world.runs.get(run.run_id)
        assert done.status is Status.COMPLETED
        assert world.runs.written(done.run_id, json.loads(json.dumps(answer))["written"]) == done

    def test_returns_none_for_a_run_that_another_worker_has_ended(self, world: World) -> None:
        run = submit(world, waited=True, now=utc_now())
        worker.handler(_invoked(run.run_id))
        done = world.runs.get(run.run_id)
        assert worker.handler(_invoked(run.run_id)) == {"written": None}
        assert world.runs.get(done.run_id) == done


@dataclass(frozen=True)
class Mixed:
    """A slow, a failing and a quick model, selected by the run's message."""

    others_have_ended: Callable[[], bool]

    def effective_request(self, tenant_id: str, request: ModelRequest) -> ModelRequest:  # noqa: ARG002 — as for all
        """Return the request unchanged."""
        return request

    def of(self, tenant_id: str, request: ModelRequest) -> Model:  # noqa: ARG002 — it is all of them
        """Return this model."""
        return self

    def stream(self, request: ModelRequest) -> Generator[StreamPart]:
        """See `Model.stream`."""
        wanted = request.messages[-1].content
        if wanted == "broken":
            raise ZeroDivisionError
        yield TextDelta(f"I am {wanted}")
        if wanted == "slow":
            wait_until(self.others_have_ended)
        yield StreamEnd({Meter.TOKENS_IN: 7, Meter.TOKENS_OUT: 2})


def wait_until(seen: Callable[[], bool], *, seconds: float = 20) -> None:
    """Wait until a condition holds; the limit is reached only if it never does."""
    ends = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < ends, "the others wait for this one"
        time.sleep(0.01)


class TestBatch:
    def test_slow_and_failing_runs_do_not_block_the_others(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        slow, broken, *quick = (
            submit(world, message=message).run_id for message in ("slow", "broken", "quick", "quick")
        )

        def status(run_id: str) -> Status:
            return world.runs.get(run_id).status

        models = Mixed(lambda: all(status(run_id).final for run_id in quick))
        made = worker_of(world, models)

        def worker_of_tenant(_: str) -> Worker:
            return made

        monkeypatch.setattr(execution, "_worker", worker_of_tenant)
        answer = worker.handler(batch(*(_queued(run_id) for run_id in (slow, broken, *quick))))
        assert answer == {"batchItemFailures": []}
        assert [status(run_id) for run_id in (slow, *quick)] == [Status.COMPLETED] * 3
        assert status(broken) is Status.FAILED


class TestReaper:
    def test_recovers_due_runs(self, world: World) -> None:
        run_id = _submit(world)
        acquire_lease(world, run_id, now=NOW)
        reaper.handler({})
        assert world.runs.get(run_id).status is Status.QUEUED

    def test_fails_runs_whose_tool_outputs_are_late(self, world: World) -> None:
        asking = execute(world, submit(world, message="[[tool time {}]] Well?"))
        assert asking.status is Status.REQUIRES_ACTION
        reaper.handler({})
        assert world.runs.get(asking.run_id).status is Status.FAILED
