"""What the runs service can do."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from services.runs import operations
from services.runs.domain.agent import AgentCopy, VersionCopy
from services.runs.domain.request import ModelRequest
from services.runs.domain.run import Outcome, Run, Status
from services.runs.errors import AgentNotFound, VersionNotFound
from services.runs.gateways.model import Ended, Model, Text
from services.runs.gateways.models import ProviderModels
from services.runs.table import SLICE, agents
from shared.ids import new_id
from shared.meters import Meter
from shared.storage.transaction import Expression
from tests.services.runs.conftest import World, know_agent
from tests.services.runs.runs import AGENT_ID, NOW, TENANT

LATER = NOW + timedelta(hours=1)
"""When the agent is not fresh any more."""


class FakeModels:
    """One model for all providers."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def of(self, provider: str) -> Model:  # noqa: ARG002 — there is but one
        return self._model


class TruncatedModel:
    """A stream without its terminal event."""

    def stream(self, request: ModelRequest) -> Iterator[Text | Ended]:  # noqa: ARG002 — it answers the same
        yield Text("Hel")


class SlowModel:
    """Lets something happen in the middle of its answer."""

    def __init__(self, happens: list[object]) -> None:
        self._happens = happens

    def stream(self, request: ModelRequest) -> Iterator[Text | Ended]:  # noqa: ARG002 — it answers the same
        for happening in self._happens:
            if callable(happening):
                happening()
            yield Text("x")
        yield Ended({Meter.TOKENS_OUT: len(self._happens)})


def _submit(world: World, *, waited: bool = False, version: int | None = None, agent_id: str = AGENT_ID) -> Run:
    asked = operations.NewRun(
        run_id=new_id("run", LATER),
        agent_id=agent_id,
        version=version,
        inputs={"message": "Hello"},
        metadata={},
        max_output_tokens=None,
        request_id="request",
        waited=waited,
    )
    return operations.submit_run(
        world.store, world.runs, world.documents, TENANT, asked, simulate_without_key=True, now=LATER
    )


def _execute(world: World, run: Run, model: Model | None = None, *, clock: Iterator[datetime] | None = None) -> Run:
    models = FakeModels(model) if model else ProviderModels()
    read = (lambda: next(clock)) if clock else (lambda: LATER)
    operations.execute_run(world.runs, world.documents, models, TENANT, run.run_id, clock=read)
    return world.runs.get(TENANT, run.run_id)


def _outbox(world: World) -> list[str]:
    items = world.store.query_all(Expression("#PK = :pk", {"pk": SLICE.key(TENANT, "OUTBOX")}))
    return [str(item["SK"]).removeprefix("OUTBOX#") for item in items]


class TestSubmitRun:
    def test_pins_the_live_version_and_queues_the_run(self, world: World) -> None:
        run = _submit(world)
        assert (run.version, run.config, run.status) == (1, world.config, Status.QUEUED)
        assert _outbox(world) == [f"{run.run_id}:queued:1"]

    def test_writes_no_event_for_a_run_that_is_waited_for(self, world: World) -> None:
        _submit(world, waited=True)
        assert _outbox(world) == []

    def test_bounds_the_first_call_by_the_prompt_the_message_and_the_cap(self, world: World) -> None:
        assert _submit(world).first_call.bound_tokens >= len("Be kind.Hello") + 4_096


class TestPinVersion:
    def test_refuses_an_old_unknown_agent_at_once(self, world: World) -> None:
        with pytest.raises(AgentNotFound):
            _submit(world, agent_id=new_id("agt", NOW))

    def test_refuses_a_deleted_agent(self, world: World) -> None:
        know_agent(world.store, world.config, deleted=True)
        with pytest.raises(AgentNotFound):
            _submit(world)

    def test_keeps_an_agent_deleted_when_its_creation_arrives_late(self, world: World) -> None:
        know_agent(world.store, world.config, deleted=True)
        know_agent(world.store, world.config)
        with pytest.raises(AgentNotFound):
            _submit(world)

    def test_refuses_an_unknown_version_below_the_latest(self, world: World) -> None:
        agents.keep_agent(world.store, TENANT, AgentCopy(AGENT_ID, 5, None, 1, 3, deleted=False, heard_at=NOW))
        with pytest.raises(VersionNotFound):
            _submit(world, version=2)

    def test_takes_the_version_that_is_asked_for(self, world: World) -> None:
        agents.keep_version(world.store, TENANT, VersionCopy(AGENT_ID, 2, world.config))
        assert _submit(world, version=2).version == 2


class TestExecuteRun:
    def test_brings_a_run_to_its_answer(self, world: World) -> None:
        done = _execute(world, _submit(world))
        assert done.status is Status.COMPLETED
        assert done.output == {"message": "This is a simulated answer. You said: Hello"}
        assert done.usage[Meter.TOKENS_OUT] == 8

    def test_says_what_was_used_and_that_it_ended_in_one_write(self, world: World) -> None:
        run = _submit(world, waited=True)
        _execute(world, run)
        assert _outbox(world) == [f"{run.run_id}:1:1", f"{run.run_id}:1:completed"]

    def test_does_nothing_for_a_run_that_is_leased_or_final(self, world: World) -> None:
        done = _execute(world, _submit(world))
        assert _execute(world, done) == done

    def test_fails_a_run_whose_stream_breaks_off(self, world: World) -> None:
        done = _execute(world, _submit(world), TruncatedModel())
        assert done.status is Status.FAILED
        assert done.error is not None
        assert done.error.code == "StreamTruncated"
        assert done.output is None

    def test_fails_a_run_whose_provider_has_no_key(self, world: World) -> None:
        asked = operations.NewRun(new_id("run", LATER), AGENT_ID, None, {"message": "Hi"}, {}, None, "r", waited=True)
        run = operations.submit_run(
            world.store, world.runs, world.documents, TENANT, asked, simulate_without_key=False, now=LATER
        )
        done = _execute(world, run)
        assert done.error is not None
        assert done.error.code == "ProviderNotConfigured"
        assert done.usage[Meter.REQUESTS] == 1

    def test_keeps_its_lease_while_the_answer_streams(self, world: World) -> None:
        run = _submit(world)
        ticks = (LATER + timedelta(seconds=3 * tick) for tick in range(100))
        done = _execute(world, run, SlowModel([None] * 20), clock=ticks)
        assert (done.status, done.attempt) == (Status.COMPLETED, 1)

    def test_writes_nothing_after_another_attempt_has_the_run(self, world: World) -> None:
        run = _submit(world)

        def reap() -> None:
            assert operations.reap(world.runs, now=LATER + timedelta(seconds=40)) == 1

        after = _execute(world, run, SlowModel([reap, None]))
        assert (after.status, after.output) == (Status.QUEUED, None)
        assert _outbox(world) == [f"{run.run_id}:1:1", f"{run.run_id}:queued:1", f"{run.run_id}:queued:3"]


class TestReap:
    def test_gives_a_lost_run_back_to_the_queue(self, world: World) -> None:
        run = _submit(world)
        world.runs.take(TENANT, run.run_id, now=LATER)
        assert operations.reap(world.runs, now=LATER + timedelta(seconds=29)) == 0
        assert operations.reap(world.runs, now=LATER + timedelta(seconds=31)) == 1
        done = _execute(world, run)
        assert [attempt.outcome for attempt in done.attempts] == [Outcome.LOST, Outcome.COMPLETED]

    def test_queues_a_waited_run_whose_worker_never_came(self, world: World) -> None:
        run = _submit(world, waited=True)
        assert operations.reap(world.runs, now=LATER + timedelta(seconds=31)) == 1
        assert _outbox(world) == [f"{run.run_id}:queued:2"]

    def test_ends_a_run_after_three_attempts(self, world: World) -> None:
        run, now = _submit(world), LATER
        for _ in range(3):
            world.runs.take(TENANT, run.run_id, now=now)
            now += timedelta(seconds=31)
            operations.reap(world.runs, now=now)
        done = world.runs.get(TENANT, run.run_id)
        assert (done.status, len(done.attempts)) == (Status.FAILED, 3)
        assert done.usage[Meter.TOKENS_UNCERTAIN] == 3 * run.first_call.bound_tokens
        assert done.usage[Meter.REQUESTS] == 1
