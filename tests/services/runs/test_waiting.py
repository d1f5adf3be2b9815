"""Waiting for a run that a worker executes at once, and what is not read twice for it."""

import json
from typing import Any

import pytest

from services.runs.consumer import worker
from services.runs.domain.run import Status
from services.runs.errors import RunNotFound
from services.runs.gateways.workers import FakeWorkers
from services.runs.operations.waiting import execute_and_wait
from services.runs.table.agents import AgentCopies
from services.runs.table.runs import RunTable
from shared.storage.payloads import Payloads
from shared.storage.store import Store
from tests.services.runs.conftest import World, know_version
from tests.services.runs.runs import AGENT_ID, TENANT
from tests.services.runs.work import submit
from tests.shared.storage.scripted import ScriptedDatabase


def _invoke(tenant_id: str, run_id: str) -> dict[str, Any] | None:
    """The worker, with its answer as it comes over the wire."""
    answer = worker.handler({"tenant_id": tenant_id, "run_id": run_id})
    return json.loads(json.dumps(answer))["written"]


def _unread(world: World) -> RunTable:
    """A table that no run can be read from."""
    store = Store(ScriptedDatabase([AssertionError()]), table="none", owned=world.store.owned)
    return RunTable(store, Payloads(world.documents))


class TestExecuteAndWait:
    @pytest.mark.parametrize("message", ["Hello", "x" * 100_000])
    def test_shows_what_the_worker_has_written_without_reading_it(self, world: World, message: str) -> None:
        run = submit(world, waited=True, message=message)
        done = execute_and_wait(FakeWorkers(_invoke), _unread(world), run, wait_s=3)
        assert done.status is Status.COMPLETED
        assert done == world.runs.get(TENANT, run.run_id)

    def test_reads_the_run_when_the_wait_is_over(self, world: World) -> None:
        run = submit(world, waited=True)
        assert execute_and_wait(FakeWorkers(), world.runs, run, wait_s=3) == run

    def test_reads_the_run_when_somebody_else_has_it(self, world: World) -> None:
        run = submit(world, waited=True)
        _invoke(TENANT, run.run_id)
        assert execute_and_wait(FakeWorkers(_invoke), world.runs, run, wait_s=3).status is Status.COMPLETED

    def test_refuses_to_show_another_run(self, world: World) -> None:
        run, other = submit(world, waited=True), submit(world, waited=True)

        def mistaken(tenant_id: str, _: str) -> dict[str, Any] | None:
            return _invoke(tenant_id, other.run_id)

        with pytest.raises(RunNotFound):
            execute_and_wait(FakeWorkers(mistaken), world.runs, run, wait_s=3)


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
