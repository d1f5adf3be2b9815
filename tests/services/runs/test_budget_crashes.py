"""Wherever the api or a worker dies, what is left is the limit without what the runs say that they have used."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

import pytest

from services.runs.domain.budget import LEFT_ALONE
from services.runs.domain.run import Status
from services.runs.errors import ProviderFailed
from services.runs.gateways.model import Ended, Text
from services.runs.operations.budgets import sweep
from services.runs.operations.reaping import reap
from services.runs.table import SLICE
from services.runs.table.budgets import BudgetTable
from services.runs.table.runs import RunFilter, RunTable
from shared.meters import Meter
from shared.storage.clients import own_client
from shared.storage.payloads import Payloads
from shared.storage.store import DynamoDB, Store
from tests.services.runs.conftest import World, know_tenant
from tests.services.runs.runs import TENANT
from tests.services.runs.work import LATER, ScriptedModel, execute, submit

LIMIT = 1_000_000
BUSY = ProviderFailed("ProviderUnavailable", "Not now.", retry=True)
ANSWER = (Text("Hello"), Ended({Meter.TOKENS_IN: 7, Meter.TOKENS_OUT: 2}))
CALLS = 14
"""From the POST to the end of a run whose model has to be asked twice, and the look at it that the test takes."""


class Killed(BaseException):
    """The process is gone; nothing of it runs any more."""


@dataclass
class DyingClient:
    """A client whose process dies at one of its calls.

    Args:
        client: does the work.
        dies_at: the call, from 1; 0: it lives.
        after: the call is carried out, and nobody hears of it.
    """

    client: Any
    dies_at: int = 0
    after: bool = False
    calls: int = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 — any method of the client
        def call(**arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
            self.calls += 1
            if self.calls == self.dies_at and not self.after:
                raise Killed
            answer = getattr(self.client, name)(**arguments)
            if self.calls == self.dies_at:
                raise Killed
            return answer

        return call


def _dying(world: World, *, dies_at: int = 0, after: bool = False) -> tuple[World, DyingClient]:
    """The same world, seen by a process that will die."""
    client = DyingClient(own_client("dynamodb"), dies_at, after)
    store = Store(cast("DynamoDB", client), table="ainexus-test-entities", owned=SLICE)
    runs = RunTable(store, Payloads(world.documents))
    return replace(world, store=store, runs=runs, budgets=BudgetTable(store)), client


def _live(world: World) -> None:
    """A run from its POST to its end."""
    execute(world, submit(world), ScriptedModel([[BUSY], ANSWER]))


def _recover(world: World) -> None:
    """What the reaper and other workers do in the hour after that."""
    for _ in range(2):
        reap(world.runs, world.budgets, now=LATER + timedelta(hours=1))
        for run in world.runs.page(TENANT, RunFilter(status=Status.QUEUED), limit=100, after=None)[0]:
            execute(world, run, ScriptedModel([[BUSY], ANSWER]))
    sweep(world.budgets, world.runs, now=LATER + 2 * LEFT_ALONE)


def _deaths() -> Iterator[tuple[int, bool]]:
    for dies_at in range(1, CALLS + 1):
        yield dies_at, False
        yield dies_at, True


class TestDeath:
    def test_at_any_call_leaves_the_truth(self, world: World) -> None:
        know_tenant(world.store, seq=2, max_tokens_per_month=LIMIT, max_requests_per_month=100)
        _live(world)
        living, client = _dying(world)
        _live(living)
        assert client.calls == CALLS
        for dies_at, after in _deaths():
            with pytest.raises(Killed):
                _live(_dying(world, dies_at=dies_at, after=after)[0])
            _recover(world)
            runs = world.runs.page(TENANT, RunFilter(), limit=100, after=None)[0]
            budget = world.budgets.find(TENANT, "2026-11")
            assert budget is not None
            assert budget.open == {}, (dies_at, after)
            spent = [call.spent_tokens for run in runs for call in run.calls]
            assert budget.tokens_left == LIMIT - sum(spent), (dies_at, after)
            assert budget.requests_left == 100 - sum(run.usage.get(Meter.REQUESTS, 0) for run in runs), (dies_at, after)
            assert all(run.status.final for run in runs), (dies_at, after)
