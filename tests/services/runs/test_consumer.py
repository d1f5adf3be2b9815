"""What reaches this service without HTTP."""

import json
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from services.runs.consumer import events, reaper, worker
from services.runs.domain.request import ModelRequest
from services.runs.domain.run import Status
from services.runs.gateways.model import Ended, Model, Part, Text
from services.runs.operations.submission import NewRun, submit_run
from services.runs.table.agents import AgentCopies
from shared.events.agents import AgentAliasMoved, AgentCreated, AgentDeleted, AgentVersionPublished
from shared.events.envelope import Event, EventData, happened
from shared.events.runs import RunQueued
from shared.ids import new_id
from shared.meters import Meter
from shared.times import utc_now
from tests.messages import batch
from tests.services.runs.conftest import CONFIG, World, know_tenant
from tests.services.runs.runs import AGENT_ID, NOW, TENANT
from tests.services.runs.work import access, planner_of, submit, take, worker_of

AGENT = new_id("agt", NOW)


def _said(data: EventData, *, seq: int = 1, tenant_id: str = TENANT) -> Event[Any]:
    return happened(
        data, event_id=f"{data.TYPE}:{seq}", tenant_id=tenant_id, subject="it", seq=seq, at=datetime.now(UTC)
    )


def _state(live: int, latest: int) -> dict[str, Any]:
    return {"agent_id": AGENT, "live_version": live, "latest_version": latest}


class TestAgentEvents:
    def test_end_in_the_same_state_in_any_order(self, world: World) -> None:
        said = [
            _said(AgentCreated(**_state(1, 1)), seq=1),
            _said(AgentAliasMoved(**_state(2, 2)), seq=2),
            _said(AgentDeleted(agent_id=AGENT), seq=3),
        ]
        for place, order in enumerate(permutations(said)):
            tenant_id = f"tenant-{place}"
            moved = [event.model_copy(update={"tenant_id": tenant_id}) for event in order]
            assert events.handler(batch(*moved)) == {"batchItemFailures": []}
            known = AgentCopies(world.store).find_agent(tenant_id, AGENT)
            assert known is not None
            assert known.deleted

    def test_ignore_a_field_that_is_not_known_here(self, world: World) -> None:
        events.handler(batch(_said(AgentCreated(**_state(1, 1))), extra={"colour": "red"}))
        assert AgentCopies(world.store).find_agent(TENANT, AGENT) is not None

    def test_let_a_version_be_run(self, world: World) -> None:
        said = AgentVersionPublished(
            agent_id=AGENT, version=7, config_key=world.config.key, config_sha256=world.config.sha256
        )
        events.handler(batch(_said(said)))
        known = AgentCopies(world.store).find_version(TENANT, AGENT, 7)
        assert known is not None
        assert known.config == world.config


class TestConsumer:
    @pytest.mark.usefixtures("world")
    def test_lets_one_bad_message_come_again_and_handles_the_others(self, world: World) -> None:
        messages = batch(_said(AgentCreated(**_state(1, 1))), _said(AgentDeleted(agent_id=AGENT_ID), seq=9))
        messages["Records"][0]["body"] = "{"
        assert events.handler(messages) == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
        known = AgentCopies(world.store).find_agent(TENANT, AGENT_ID)
        assert known is not None
        assert known.deleted


def _submit(world: World, tenant_id: str = TENANT) -> str:
    asked = NewRun(
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
    planner = planner_of(world)
    copies = AgentCopies(world.store)
    return submit_run(copies, world.runs, world.documents, planner, known, asked, now=NOW).run_id


def _queued(run_id: str, tenant_id: str = TENANT) -> Event[Any]:
    return happened(
        RunQueued(run_id=run_id), event_id=f"{run_id}:queued:1", tenant_id=tenant_id, subject=run_id, seq=1, at=NOW
    )


def _invoked(run_id: str) -> dict[str, Any]:
    return {"tenant_id": TENANT, "run_id": run_id}


class TestWorker:
    def test_executes_a_batch_of_two_tenants_at_once(self, world: World) -> None:
        other = "enterprise-test"
        know_tenant(world.store, other)
        config = world.documents.write(other, f"agents/{AGENT_ID}/versions/1.json", CONFIG)
        for event in (
            AgentCreated(agent_id=AGENT_ID, live_version=1, latest_version=1),
            AgentVersionPublished(agent_id=AGENT_ID, version=1, config_key=config.key, config_sha256=config.sha256),
        ):
            events.handler(batch(_said(event, tenant_id=other)))
        runs = [(tenant_id, _submit(world, tenant_id)) for tenant_id in (TENANT, other) for _ in range(2)]
        answer = worker.handler(batch(*(_queued(run_id, tenant_id) for tenant_id, run_id in runs)))
        assert answer == {"batchItemFailures": []}
        for tenant_id, run_id in runs:
            run = world.runs.get(tenant_id, run_id)
            assert run.output == {"message": f"This is a simulated answer. You said: I am of {tenant_id}"}

    def test_acknowledges_a_run_that_is_done(self, world: World) -> None:
        run_id = _submit(world)
        worker.handler(batch(_queued(run_id)))
        done = world.runs.get(TENANT, run_id)
        assert worker.handler(batch(_queued(run_id))) == {"batchItemFailures": []}
        assert world.runs.get(TENANT, run_id) == done

    def test_executes_the_run_that_it_is_invoked_with(self, world: World) -> None:
        run = submit(world, waited=True, now=utc_now())
        answer = worker.handler(_invoked(run.run_id))
        done = world.runs.get(TENANT, run.run_id)
        assert done.status is Status.COMPLETED
        assert world.runs.written(TENANT, done.run_id, json.loads(json.dumps(answer))["written"]) == done

    def test_writes_nothing_for_a_run_that_another_one_has_ended(self, world: World) -> None:
        run = submit(world, waited=True, now=utc_now())
        worker.handler(_invoked(run.run_id))
        done = world.runs.get(TENANT, run.run_id)
        assert worker.handler(_invoked(run.run_id)) == {"written": None}
        assert world.runs.get(TENANT, done.run_id) == done


@dataclass(frozen=True)
class Mixed:
    """A slow model, a broken one and a quick one: each run says which it wants."""

    others_have_ended: Callable[[], bool]

    def answering(self, tenant_id: str, request: ModelRequest) -> ModelRequest:  # noqa: ARG002 — as for all
        """By the provider that was asked for."""
        return request

    def of(self, tenant_id: str, request: ModelRequest) -> Model:  # noqa: ARG002 — it is all of them
        """This is the only model."""
        return self

    def stream(self, request: ModelRequest) -> Generator[Part]:
        """See `Model.stream`."""
        wanted = request.messages[-1].content
        if wanted == "broken":
            raise ZeroDivisionError
        yield Text(f"I am {wanted}")
        if wanted == "slow":
            wait_until(self.others_have_ended)
        yield Ended({Meter.TOKENS_IN: 7, Meter.TOKENS_OUT: 2})


def wait_until(seen: Callable[[], bool], *, seconds: float = 20) -> None:
    """The limit is far above what it takes, and is reached only where it would never be seen."""
    ends = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < ends, "the others wait for this one"
        time.sleep(0.01)


class TestBatch:
    def test_neither_a_slow_run_nor_a_broken_one_holds_the_others(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow, broken, *quick = (
            submit(world, message=message).run_id for message in ("slow", "broken", "quick", "quick")
        )

        def status(run_id: str) -> Status:
            return world.runs.get(TENANT, run_id).status

        models = Mixed(lambda: all(status(run_id).final for run_id in quick))
        monkeypatch.setattr(worker, "_worker", lambda: worker_of(world, models))
        answer = worker.handler(batch(*(_queued(run_id) for run_id in (slow, broken, *quick))))
        assert answer == {"batchItemFailures": []}
        assert [status(run_id) for run_id in (slow, *quick)] == [Status.COMPLETED] * 3
        assert status(broken) is Status.FAILED


class TestReaper:
    def test_gives_back_what_is_due(self, world: World) -> None:
        run_id = _submit(world)
        take(world, run_id, now=NOW)
        reaper.handler({})
        assert world.runs.get(TENANT, run_id).status is Status.QUEUED
