"""Budgets in tests: a limit, what is left of it, and who dies in the middle."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.runs.domain.budget import Budget, Spent
from services.runs.domain.request import ToolCall
from services.runs.domain.run import Run
from services.runs.errors import ProviderFailed
from services.runs.gateways.model import Ended, Stop, Text
from services.runs.operations.sweeping import sweep_budgets
from services.runs.table.budgets import BudgetTable, NotHeld
from services.runs.table.runs import RunTable
from services.runs.table.slots import Freed
from shared.errors import DependencyUnavailable
from shared.meters import Meter
from shared.storage.idempotency import Once
from shared.tenancy.context import TenantAccess
from tests.services.runs.conftest import World, know_tenant
from tests.services.runs.runs import TENANT
from tests.services.runs.work import LATER, access, submit

USED = {Meter.TOKENS_IN: 7, Meter.TOKENS_OUT: 2}
ANSWER = (Text("Hello"), Ended(USED))
BUSY = ProviderFailed("ProviderUnavailable", "Not now.", retry=True)
CUT = ProviderFailed("StreamTruncated", "Cut.", retry=True, usage_known=False)
TOOL = (Text("Let me see."), Ended(USED, (ToolCall("call_1", "weather", "{}"),), Stop.TOOL_CALLS))
LAST_OF_NOVEMBER = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, 0, 0, 1, tzinfo=UTC)
LIMIT = 100_000
ONE_INPUT = 700
"""About what the input of the tests' runs may take."""


def limit(world: World, tokens: int = LIMIT, *, seq: int = 2, requests: int = 100, **said: Any) -> None:  # noqa: ANN401 — those of tenant_created
    know_tenant(world.store, seq=seq, max_tokens_per_month=tokens, max_requests_per_month=requests, **said)


def budget_of(world: World, period: str = "2026-11") -> Budget:
    budget = world.budgets.find(TENANT, period)
    assert budget is not None
    return budget


def left_of(world: World, period: str = "2026-11") -> Spent:
    budget = budget_of(world, period)
    return Spent(budget.requests_left, budget.tokens_left)


def bound_of(run: Run) -> int:
    assert run.open_call is not None
    return run.open_call.bound_tokens


def sweep_later(world: World, *, after: timedelta = timedelta(minutes=6)) -> int:
    def read_access(tenant_id: str) -> TenantAccess:
        return access(world, tenant_id)

    return sum(sweep_budgets(world.budgets, world.runs, read_access, now=LATER + after).results)


def once(body: str = "a") -> Once:
    return Once(TENANT, "user:1 POST runs", "key", body, LATER)


class Silent(BudgetTable):
    """A table whose worker, reaper or api dies before it can settle."""

    def settle(self, *_: object, **__: object) -> Freed | None:
        """Nothing happens."""
        return None


class Unreadable(BudgetTable):
    """A table that does not answer."""

    def reserve(self, *_: object, **__: object) -> NotHeld | None:
        """Nobody knows what is left."""
        raise DependencyUnavailable("The database does not answer.")  # noqa: EM101 — as told


class Cut(RunTable):
    """A table that is not reached any more when a new run is to be written."""

    def add(self, *_: object, **__: object) -> None:
        """Nobody knows whether it was written."""
        raise DependencyUnavailable("The database does not answer.")  # noqa: EM101 — as told


def crash_after_reserving(world: World, once: Once | None = None) -> None:
    runs = Cut(world.store, world.runs._payloads)  # pyright: ignore[reportPrivateUsage]  # the same ones
    with pytest.raises(DependencyUnavailable):
        submit(replace(world, runs=runs), once=once)
