"""Fairness: a run of a small tenant starts after a bounded number of other runs."""

from collections import deque
from datetime import timedelta

import pytest

from services.runs.agents.domain import AgentCopy, VersionCopy
from services.runs.agents.table import AgentCopies, AgentCopyTable, VersionCopyTable
from services.runs.budgets.table.budgets import AllBudgets
from services.runs.execution.operations.planning import Planner
from services.runs.execution.operations.submission import submit_run
from services.runs.execution.operations.worker import Worker
from services.runs.partitions import SLICE
from services.runs.runs.domain.run import Run, RunRequest
from services.runs.runs.table.runs import AllRuns
from shared.copies.tenant_access import TenantAccessCopies
from shared.ids import new_id
from shared.storage.items import Reader
from shared.storage.objects import Artifacts
from shared.storage.payloads import Payloads
from shared.storage.store import Store
from shared.storage.transaction import Expression
from tests.dynamodb.memory import MemoryDynamoDB
from tests.services.runs.examples import AGENT_ID, NOW
from tests.services.runs.kills.bucket import MemoryS3
from tests.services.runs.workers import COST, LATER, Simulating, always
from tests.tenants import tenant_created

SHARE_DIVISOR = 10
"""The maximum number of executing runs of a tenant: half of the workers."""
LARGE = ("large-a", "large-b", "large-c")
RUNS_OF_EACH = 100
"""The number of runs of a large tenant. More would only make the test slower."""


class Mesh:
    """Tenants with an enterprise plan, and the workers' queue in the order of its messages."""

    def __init__(self, *tenants: str, share: int = SHARE_DIVISOR) -> None:
        self.store = Store(MemoryDynamoDB(), table="entities", owned=SLICE, sleep=lambda _: None)
        self._documents = Artifacts(MemoryS3(), bucket="bucket")
        self.runs = AllRuns(self.store, Payloads(self._documents))
        self.budgets = AllBudgets(self.store, max_runs=share)
        self.queue = deque[tuple[str, str]]()
        self._seen = set[str]()
        self._tenants = tenants
        for tenant_id in tenants:
            self._know(tenant_id)

    def _know(self, tenant_id: str) -> None:
        created = tenant_created(tenant_id, seq=1, max_concurrent_runs=500, max_tokens_per_month=-1)
        TenantAccessCopies(self.store).keep(created)
        stored = self._documents.write(tenant_id, f"agents/{AGENT_ID}/versions/1.json", {"model": "gpt-4"})
        AgentCopyTable(self.store, tenant_id).keep(AgentCopy(AGENT_ID, 1, None, 1, 1, deleted=False, received_at=NOW))
        VersionCopyTable(self.store, tenant_id).keep(VersionCopy(AGENT_ID, 1, stored))

    def submit(self, tenant_id: str, number: int = 0, *, waited: bool = False) -> Run:
        """Submit a run and publish its events to the queue."""
        now = LATER + timedelta(milliseconds=number)
        asked = RunRequest(
            new_id("run", now), AGENT_ID, None, {"message": "Hello"}, {}, 10, None, "request", "", waited=waited
        )
        planner = Planner(self.budgets.of(tenant_id), always(COST))
        access = TenantAccessCopies(self.store).read(tenant_id)
        run = submit_run(
            AgentCopies(self.store), self.runs.of(tenant_id), self._documents, planner, access, asked, now=now
        )
        self._publish(tenant_id)
        return run

    def execute_next(self) -> str:
        """Execute the run of the first message; return its id."""
        tenant_id, run_id = self.queue.popleft()
        worker = Worker(
            runs=self.runs.of(tenant_id),
            configs=self._documents,
            models=Simulating(),
            planner=Planner(self.budgets.of(tenant_id), always(COST)),
            access=TenantAccessCopies(self.store).read,
            price=always(COST),
            clock=lambda: LATER,
            sleep=lambda _: None,
            jitter=lambda _low, high: high,
        )
        assert worker.execute(run_id)
        self._publish(tenant_id)
        return run_id

    def _publish(self, tenant_id: str) -> None:
        items = self.store.query_all(Expression("#PK = :pk", {"pk": SLICE.key(tenant_id, "OUTBOX")}))
        for name in (Reader(item).text("SK") for item in items):
            if ":queued:" in name and name not in self._seen:
                self._seen.add(name)
                self.queue.append((tenant_id, name.removeprefix("OUTBOX#").partition(":")[0]))


def begun_before(mesh: Mesh, run: Run) -> int:
    """Return the number of other runs that start before this one."""
    others = 0
    while mesh.execute_next() != run.run_id:
        others += 1
    return others


class TestSmallTenant:
    def test_starts_after_one_share_of_each_large_tenant(self) -> None:
        mesh = Mesh(*LARGE, "small")
        for number in range(RUNS_OF_EACH):
            for tenant_id in LARGE:
                mesh.submit(tenant_id, number)
        assert len(mesh.queue) == len(LARGE) * SHARE_DIVISOR
        assert begun_before(mesh, mesh.submit("small")) == len(LARGE) * SHARE_DIVISOR

    def test_is_not_overtaken_by_later_runs_of_large_tenants(self) -> None:
        mesh = Mesh(*LARGE, "small")
        for tenant_id in LARGE * SHARE_DIVISOR:
            mesh.submit(tenant_id)
        run = mesh.submit("small")
        for tenant_id in LARGE * SHARE_DIVISOR:
            mesh.submit(tenant_id)
        assert begun_before(mesh, run) == len(LARGE) * SHARE_DIVISOR


class TestLargeTenant:
    def test_executes_all_its_runs_share_by_share(self) -> None:
        mesh = Mesh("large-a")
        submitted = {mesh.submit("large-a", number).run_id for number in range(3 * SHARE_DIVISOR)}
        executed = set[str]()
        while mesh.queue:
            assert len(mesh.queue) <= SHARE_DIVISOR
            executed.add(mesh.execute_next())
        assert executed == submitted

    def test_counts_waited_runs_in_the_same_share(self) -> None:
        mesh = Mesh("large-a")
        runs = [mesh.submit("large-a", number, waited=True) for number in range(SHARE_DIVISOR + 1)]
        assert [run.waits_for_slot for run in runs] == [False] * SHARE_DIVISOR + [True]


class TestShare:
    @pytest.mark.parametrize(("before", "after"), [(10, 2), (2, 10)])
    def test_applies_a_redeployed_share_to_the_next_run(self, before: int, after: int) -> None:
        mesh = Mesh("large-a", share=before)
        mesh.submit("large-a")
        mesh.budgets = AllBudgets(mesh.store, max_runs=after)
        runs = [mesh.submit("large-a", number) for number in range(1, after + 1)]
        assert [run.waits_for_slot for run in runs] == [False] * (after - 1) + [True]
        month = mesh.budgets.of("large-a").find(f"{LATER:%Y-%m}")
        assert month
        assert month.slots
        assert (month.limits.runs, month.slots.limit) == (after, after)
