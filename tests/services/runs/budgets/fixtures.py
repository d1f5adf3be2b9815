"""Fixtures of budgets: limits, remainders and crashes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.runs.budgets.domain import Budget, Denied, Freed, Spent
from services.runs.budgets.operations.sweep import sweep_budgets
from services.runs.budgets.table.budgets import BudgetTable
from services.runs.errors import ProviderFailed
from services.runs.providers.domain.model import StopReason, StreamEnd, TextDelta
from services.runs.runs.domain.conversation import ToolCall
from services.runs.runs.domain.run import Run
from services.runs.runs.table.runs import RunTable
from shared.errors import DependencyUnavailable
from shared.meters import Meter
from shared.storage.idempotency import IdempotencyKey
from shared.tenancy.context import TenantAccess
from tests.services.runs.conftest import World, know_tenant
from tests.services.runs.examples import TENANT
from tests.services.runs.workers import LATER, access, submit

USED = {Meter.TOKENS_IN: 7, Meter.TOKENS_OUT: 2}
ANSWER = (TextDelta("Hello"), StreamEnd(USED))
BUSY = ProviderFailed("ProviderUnavailable", "Not now.", retry=True)
CUT = ProviderFailed("StreamTruncated", "Cut.", retry=True, usage_known=False)
TOOL = (TextDelta("Let me see."), StreamEnd(USED, (ToolCall("call_1", "weather", "{}"),), StopReason.TOOL_CALLS))
LAST_OF_NOVEMBER = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, 0, 0, 1, tzinfo=UTC)
LIMIT = 100_000
ONE_INPUT = 700
"""About the input bound of the runs in tests."""


def limit(world: World, tokens: int = LIMIT, *, seq: int = 2, requests: int = 100, **payload: Any) -> None:  # noqa: ANN401 — those of tenant_created
    know_tenant(world.store, seq=seq, max_tokens_per_month=tokens, max_requests_per_month=requests, **payload)


def budget_of(world: World, period: str = "2026-11") -> Budget:
    budget = world.budgets.find(period)
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

    return sum(sweep_budgets(world.all_budgets, world.all_runs, read_access, now=LATER + after).results)


def idempotency_key(body: str = "a") -> IdempotencyKey:
    return IdempotencyKey(TENANT, "user:1 POST runs", "key", body, LATER)


class Silent(BudgetTable):
    """A budget table whose caller dies before it settles."""

    def settle(self, *_: object, **__: object) -> Freed | None:
        """Do nothing."""
        return None


class Unreadable(BudgetTable):
    """A budget table that cannot be read."""

    def reserve(self, *_: object, **__: object) -> Denied | None:
        """Fail."""
        raise DependencyUnavailable("The database does not answer.")  # noqa: EM101 — a scripted error


class Cut(RunTable):
    """A run table that fails to store a new run."""

    def create(self, *_: object, **__: object) -> None:
        """Fail without storing the run."""
        raise DependencyUnavailable("The database does not answer.")  # noqa: EM101 — a scripted error


def crash_after_reserving(world: World, idempotency_key: IdempotencyKey | None = None) -> None:
    runs = Cut(world.store, TENANT, world.runs.payloads)
    with pytest.raises(DependencyUnavailable):
        submit(replace(world, runs=runs), idempotency_key=idempotency_key)
