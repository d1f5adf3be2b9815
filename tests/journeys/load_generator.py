"""Submits and executes runs against the local engine, as the functions do, and as fast as it can.

As a program it is one worker process that goes on until nothing is left, or until it is killed.
"""

import random
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config

from services.runs.domain.agent import AgentCopy, VersionCopy
from services.runs.domain.budget import Budget
from services.runs.domain.request import ModelRequest
from services.runs.domain.run import Cost, Run
from services.runs.gateways.model import Model
from services.runs.gateways.simulated import SimulatedModel
from services.runs.operations.execution import Worker
from services.runs.operations.planning import Planner
from services.runs.operations.submission import NewRun, submit_run
from services.runs.table import SLICE, agents
from services.runs.table.agents import AgentCopies
from services.runs.table.budgets import BudgetTable
from services.runs.table.runs import RunFilter, RunTable
from shared.copies.tenant_access import TenantAccessCopies
from shared.errors import LimitReached
from shared.ids import new_id
from shared.storage.objects import Documents
from shared.storage.payloads import Payloads
from shared.storage.store import Store
from shared.stored import Stored
from shared.tenancy.context import TenantAccess
from shared.times import utc_now
from tests.conflicts import ConflictingDynamoDB
from tests.tenants import tenant_created

AGENT = new_id("agt", datetime.fromisoformat("2026-11-01T00:00:00+00:00"), entropy=lambda _: 0)
MESSAGE = "Go on. [[tokens 400]]"
MAX_CONCURRENT_RUNS = 1_000
"""More than are spent at once, so that no run waits for a slot: budgets are the subject."""
_REGION, _TEST = "us-east-2", "test"


class FixedConfigs:
    """Every agent has this config."""

    def read(self, tenant_id: str, stored: Stored) -> Mapping[str, Any]:  # noqa: ARG002 — there is but one
        """It."""
        return {"model": "gpt-4"}


class Simulating:
    """The built-in provider for every request."""

    def answering(self, tenant_id: str, request: ModelRequest) -> ModelRequest:  # noqa: ARG002 — as for all
        """By the built-in provider."""
        return replace(request, provider="simulated")

    def of(self, tenant_id: str, request: ModelRequest) -> Model:  # noqa: ARG002 — there is but one
        """The built-in provider."""
        return SimulatedModel()


@dataclass
class Spender:
    """One tenant, and what spends its tokens."""

    table: str
    tenant_id: str
    client: ConflictingDynamoDB
    clock: Callable[[], datetime] = utc_now
    refused: list[LimitReached] = field(default_factory=list[LimitReached])

    @property
    def store(self) -> Store:
        """The slice, in a table of its own."""
        return Store(self.client, table=self.table, owned=SLICE)

    @property
    def runs(self) -> RunTable:
        """The tenant's runs; none is so large that it would need the bucket."""
        return RunTable(self.store, Payloads(Documents(None, bucket=_TEST)))  # pyright: ignore[reportArgumentType]

    @property
    def budgets(self) -> BudgetTable:
        """The tenant's months."""
        return BudgetTable(self.store)

    def know(self, *, seq: int = 1, **said: Any) -> None:  # noqa: ANN401 — those of tenant_created
        """Let it be known what the tenant may use, and that it has an agent."""
        limits: dict[str, Any] = {"max_concurrent_runs": MAX_CONCURRENT_RUNS, **said}
        TenantAccessCopies(self.store).keep(tenant_created(self.tenant_id, seq=seq, **limits))
        heard_at = datetime.fromisoformat("2026-11-01T00:00:00+00:00")
        agents.keep_agent(self.store, self.tenant_id, AgentCopy(AGENT, 1, None, 1, 1, deleted=False, heard_at=heard_at))
        agents.keep_version(self.store, self.tenant_id, VersionCopy(AGENT, 1, Stored("nowhere", "0")))

    def access(self, tenant_id: str) -> TenantAccess:
        """The tenant as it is known now."""
        return TenantAccessCopies(self.store).read(tenant_id)

    def submit(self, message: str = MESSAGE, *, max_output_tokens: int | None = None) -> Run | None:
        """A run, or None when it is refused."""
        now = self.clock()
        asked = NewRun(
            run_id=new_id("run", now),
            agent_id=AGENT,
            version=None,
            inputs={"message": message},
            metadata={},
            max_output_tokens=max_output_tokens,
            max_cost_nano_usd=None,
            request_id="request",
            trace_id="",
            waited=False,
        )
        try:
            return submit_run(
                AgentCopies(self.store),
                self.runs,
                FixedConfigs(),
                self._planner(),
                self.access(self.tenant_id),
                asked,
                now=now,
            )
        except LimitReached as refused:
            self.refused.append(refused)
            return None

    def execute(self, run: Run) -> None:
        """Let a worker have it."""
        Worker(
            runs=self.runs,
            configs=FixedConfigs(),
            models=Simulating(),
            planner=self._planner(),
            access=self.access,
            price=_free,
            clock=self.clock,
            sleep=time.sleep,
            jitter=random.uniform,
        ).execute(self.tenant_id, run.run_id)

    def spend(self, message: str = MESSAGE, *, max_output_tokens: int | None = None) -> bool:
        """A run from its POST to its end; False when it is refused."""
        run = self.submit(message, max_output_tokens=max_output_tokens)
        if run:
            self.execute(run)
        return run is not None

    def spend_at_once(self, count: int, message: str = MESSAGE, *, max_output_tokens: int | None = None) -> int:
        """So many at the same time; says how many were not refused."""

        def spend(_: int) -> bool:
            return self.spend(message, max_output_tokens=max_output_tokens)

        with ThreadPoolExecutor(count) as pool:
            return sum(pool.map(spend, range(count)))

    def spend_all(self, waves: Iterable[int], message: str = MESSAGE, *, max_output_tokens: int | None = None) -> int:
        """Waves of runs, until one is refused although no other is under way; says how many were not."""
        spent = 0
        for count in waves:
            spent += self.spend_at_once(count, message, max_output_tokens=max_output_tokens)
            if not self.spend(message, max_output_tokens=max_output_tokens):
                return spent
            spent += 1
        msg = "there is still something left"
        raise AssertionError(msg)

    def budget(self, period: str) -> Budget:
        """What is left of the month."""
        budget = self.budgets.find(self.tenant_id, period)
        assert budget is not None
        return budget

    def spent_tokens(self, period: str) -> int:
        """What the runs themselves say that they have taken."""
        return sum(call.spent_tokens for run in self.all_runs() for call in run.calls if call.period == period)

    def all_runs(self) -> list[Run]:
        """All of the tenant's runs."""
        found: list[Run] = []
        place: str | None = None
        while True:
            page, place = self.runs.page(self.tenant_id, RunFilter(), limit=100, after=place)
            found += page
            if place is None:
                return found

    def _planner(self) -> Planner:
        return Planner(self.budgets, _free)


def _free(*_: object) -> Cost:
    return Cost(0, "list 1")


def client_of(endpoint: str) -> ConflictingDynamoDB:
    """A client of the engine that cancels what overlaps."""
    config = Config(max_pool_connections=64, read_timeout=60, retries={"total_max_attempts": 1})
    client = boto3.client(  # pyright: ignore[reportUnknownMemberType]  # stubs for few services
        "dynamodb",
        endpoint_url=endpoint,
        region_name=_REGION,
        aws_access_key_id=_TEST,
        aws_secret_access_key=_TEST,
        config=config,
    )
    return ConflictingDynamoDB(client)


if __name__ == "__main__":
    endpoint, table, tenant_id, message, *cap = sys.argv[1:]
    spending = Spender(table, tenant_id, client_of(endpoint))
    spending.spend_all([16] * 100, message, max_output_tokens=int(cap[0]) if cap else None)
