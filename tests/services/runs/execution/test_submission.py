"""Submission of runs."""

import pytest

from services.runs.agents.domain import AgentCopy, VersionCopy
from services.runs.agents.table import AgentCopyTable, VersionCopyTable
from services.runs.errors import RequestedAgentNotFound, RequestedVersionNotFound
from services.runs.runs.domain.run import Status
from shared.ids import new_id
from tests.services.runs.conftest import World, know_agent
from tests.services.runs.examples import AGENT_ID, NOW, TENANT
from tests.services.runs.workers import outbox, submit


class TestSubmitRun:
    def test_pins_the_live_version_and_queues_the_run(self, world: World) -> None:
        run = submit(world)
        assert (run.version, run.config, run.status) == (1, world.config, Status.QUEUED)
        assert outbox(world) == [f"{run.run_id}:queued:1"]

    def test_publishes_no_event_for_a_waited_run(self, world: World) -> None:
        submit(world, waited=True)
        assert outbox(world) == []

    def test_bounds_the_first_call_by_prompt_message_and_cap(self, world: World) -> None:
        call = submit(world).open_call
        assert call is not None
        assert call.bound_tokens >= len("Be kind.Hello") + 4_096
        assert call.max_output_tokens == 4_096

    def test_plans_the_provider_of_the_model(self, world: World) -> None:
        call = submit(world).open_call
        assert call is not None
        assert (call.provider, call.model, call.simulated) == ("openai", "gpt-4", False)


class TestPinVersion:
    def test_refuses_an_old_unknown_agent_at_once(self, world: World) -> None:
        with pytest.raises(RequestedAgentNotFound):
            submit(world, agent_id=new_id("agt", NOW))

    def test_refuses_a_deleted_agent(self, world: World) -> None:
        know_agent(world.store, world.config, deleted=True)
        with pytest.raises(RequestedAgentNotFound):
            submit(world)

    def test_keeps_an_agent_deleted_when_its_creation_arrives_late(self, world: World) -> None:
        know_agent(world.store, world.config, deleted=True)
        know_agent(world.store, world.config)
        with pytest.raises(RequestedAgentNotFound):
            submit(world)

    def test_refuses_an_unknown_version_below_the_latest(self, world: World) -> None:
        AgentCopyTable(world.store, TENANT).keep(AgentCopy(AGENT_ID, 5, None, 1, 3, deleted=False, received_at=NOW))
        with pytest.raises(RequestedVersionNotFound):
            submit(world, version=2)

    def test_returns_the_requested_version(self, world: World) -> None:
        VersionCopyTable(world.store, TENANT).keep(VersionCopy(AGENT_ID, 2, world.config))
        assert submit(world, version=2).version == 2
