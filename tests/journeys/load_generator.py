"""Load generator: submits and executes runs against the local engine as the functions do, as fast as possible.

As a program, it is one worker process that continues until the budget is used up or it is killed.
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

from services.runs.agents.domain import AgentCopy, VersionCopy
from services.runs.agents.table import AgentCopies, AgentCopyTable, VersionCopyTable
from services.runs.budgets.domain import Budget
from services.runs.budgets.table.budgets import BudgetTable
from services.runs.execution.operations.planning import Planner
from services.runs.execution.operations.submission import submit_run
from services.runs.execution.operations.worker import Worker
from services.runs.partitions import SLICE
from services.runs.providers.domain.model import Model
from services.runs.providers.domain.request import ModelRequest
from services.runs.providers.gateway.simulated import SimulatedModel
from services.runs.runs.domain.run import Cost, Run, RunRequest
from services.runs.runs.table.listing import RunFilter
from services.runs.runs.table.runs import RunTable
from shared.copies.tenant_access import TenantAccessCopies
from shared.document_ref import DocumentRef
from shared.errors import LimitReached
from shared.ids import new_id
from shared.storage.objects import Documents
from shared.storage.payloads import Payloads
from shared.storage.store import Store
from shared.tenancy.context import TenantAccess
from shared.times import utc_now
from tests.conflicts import ConflictingDynamoDB
from tests.tenants import tenant_created

AGENT = new_id("agt", datetime.fromisoformat("2026-11-01T00:00:00+00:00"), entropy=lambda _: 0)
MESSAGE = "Go on. [[tokens 400]]"
MAX_CONCURRENT_RUNS = 1_000
"""More than the tests run concurrently, so that no run waits for a slot: the tests are about budgets."""
_REGION, _TEST = "us-east-2", "test"


class FixedConfigs:
    """A reader that returns the same config for every agent."""

    def read(self, tenant_id: str, stored: DocumentRef) -> Mapping[str, Any]:  # noqa: ARG002 — there is but one
        """Return the config."""
        return {"model": "gpt-4"}


class SimulatedModels:
    """Models that execute every request by the built-in provider."""

    def effective_request(self, tenant_id: str, request: ModelRequest) -> ModelRequest:  # noqa: ARG002 — as for all
        """Return the request for the built-in provider."""
        return replace(request, provider="simulated")

    def of(self, tenant_id: str, request: ModelRequest) -> Model:  # noqa: ARG002 — there is but one
        """Return the built-in provider."""
        return SimulatedModel()


@dataclass
class LoadGenerator:
    """The operations that use the tokens of one tenant."""

    table: str
    tenant_id: str
    client: ConflictingDynamoDB
    clock: Callable[[], datetime] = utc_now
    refused: list[LimitReached] = field(default_factory=list[LimitReached])

    @property
    def store(self) -> Store:
        """The slice, in a separate table."""
        return Store(self.client, table=self.table, owned=SLICE)

    @property
    def runs(self) -> RunTable:
        """The tenant's runs. None is large enough to need the bucket."""
        return RunTable(self.store, self.tenant_id, Payloads(Documents(None, bucket=_TEST)))  # pyright: ignore[reportArgumentType]

    @property
    def budgets(self) -> BudgetTable:
        """The tenant's monthly budgets."""
        return BudgetTable(self.store, self.tenant_id)

    def store_copies(self, *, seq: int = 1, **payload: Any) -> None:  # noqa: ANN401 — those of tenant_created
        """Store copies of the tenant, with these limits, and of an agent."""
        limits: dict[str, Any] = {"max_concurrent_runs": MAX_CONCURRENT_RUNS, **payload}
        TenantAccessCopies(self.store).keep(tenant_created(self.tenant_id, seq=seq, **limits))
        received_at = datetime.fromisoformat("2026-11-01T00:00:00+00:00")
        copy = AgentCopy(AGENT, 1, None, 1, 1, deleted=False, received_at=received_at)
        AgentCopyTable(self.store, self.tenant_id).keep(copy)
        VersionCopyTable(self.store, self.tenant_id).keep(VersionCopy(AGENT, 1, DocumentRef("nowhere", "0")))

    def access(self, tenant_id: str) -> TenantAccess:
        """Return the tenant's access from the stored copy."""
        return TenantAccessCopies(self.store).read(tenant_id)

    def submit(self, message: str = MESSAGE, *, max_output_tokens: int | None = None) -> Run | None:
        """Submit a run. Return None if it is refused by a limit."""
        now = self.clock()
        new_run = RunRequest(
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
                new_run,
                now=now,
            )
        except LimitReached as refused:
            self.refused.append(refused)
            return None

    def execute(self, run: Run) -> None:
        """Execute the run in a worker."""
        Worker(
            runs=self.runs,
            configs=FixedConfigs(),
            models=SimulatedModels(),
            planner=self._planner(),
            access=self.access,
            price=_free,
            clock=self.clock,
            sleep=time.sleep,
            jitter=random.uniform,
        ).execute(run.run_id)

    def run_one(self, message: str = MESSAGE, *, max_output_tokens: int | None = None) -> bool:
        """Submit and execute a run. Return False if it is refused by a limit."""
        run = self.submit(message, max_output_tokens=max_output_tokens)
        if run:
            self.execute(run)
        return run is not None

    def run_concurrently(self, count: int, message: str = MESSAGE, *, max_output_tokens: int | None = None) -> int:
        """Submit and execute this number of runs concurrently. Return the number of those that were not refused."""

        def spend(_: int) -> bool:
            return self.run_one(message, max_output_tokens=max_output_tokens)

        with ThreadPoolExecutor(count) as pool:
            return sum(pool.map(spend, range(count)))

    def run_until_refused(
        self, waves: Iterable[int], message: str = MESSAGE, *, max_output_tokens: int | None = None
    ) -> int:
        """Execute waves of runs until a single run is refused. Return the number of runs that were not refused."""
        accepted = 0
        for count in waves:
            accepted += self.run_concurrently(count, message, max_output_tokens=max_output_tokens)
            if not self.run_one(message, max_output_tokens=max_output_tokens):
                return accepted
            accepted += 1
        msg = "the budget is not used up"
        raise AssertionError(msg)

    def budget(self, period: str) -> Budget:
        """Return the budget of the month."""
        budget = self.budgets.find(period)
        assert budget is not None
        return budget

    def spent_tokens(self, period: str) -> int:
        """Return the number of tokens in the month's calls, according to the runs."""
        return sum(call.spent_tokens for run in self.all_runs() for call in run.calls if call.period == period)

    def all_runs(self) -> list[Run]:
        """Return all of the tenant's runs."""
        found: list[Run] = []
        cursor: str | None = None
        while True:
            page, cursor = self.runs.listing.page(RunFilter(), limit=100, after=cursor)
            found += page
            if cursor is None:
                return found

    def _planner(self) -> Planner:
        return Planner(self.budgets, _free)


def _free(*_: object) -> Cost:
    return Cost(0, "list 1")


def client_of(endpoint: str) -> ConflictingDynamoDB:
    """Return a client of the engine that cancels overlapping transactions."""
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
    load = LoadGenerator(table, tenant_id, client_of(endpoint))
    load.run_until_refused([16] * 100, message, max_output_tokens=int(cap[0]) if cap else None)
