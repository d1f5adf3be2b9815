"""Slot limits hold and all runs end after any steps and crashes."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.runs.agents.domain import AgentCopy, VersionCopy
from services.runs.agents.table import AgentCopies, AgentCopyTable, VersionCopyTable
from services.runs.budgets.domain import SWEEP_GRACE_PERIOD
from services.runs.budgets.operations.sweep import sweep_budgets
from services.runs.budgets.table.budgets import AllBudgets, BudgetTable
from services.runs.errors import RunAlreadyEnded, TooManyWaitingRuns
from services.runs.execution.operations.cancel import cancel_run
from services.runs.execution.operations.planning import Planner
from services.runs.execution.operations.recovery import reap
from services.runs.execution.operations.submission import submit_run
from services.runs.execution.operations.worker import Worker
from services.runs.partitions import SLICE
from services.runs.providers.domain.model import StreamEnd, TextDelta
from services.runs.runs.domain.run import Run, RunRequest, Status
from services.runs.runs.table.listing import RunFilter
from services.runs.runs.table.runs import RunTable
from shared.copies.tenant_access import TenantAccessCopies
from shared.errors import DependencyUnavailable
from shared.ids import new_id
from shared.meters import Meter
from shared.storage.objects import Artifacts
from shared.storage.payloads import Payloads
from shared.storage.store import Store
from shared.tenancy.context import TenantAccess
from tests.dynamodb.memory import MemoryDynamoDB
from tests.services.runs.conftest import all_of
from tests.services.runs.examples import AGENT_ID, NOW, TENANT
from tests.services.runs.kills.bucket import MemoryS3
from tests.services.runs.kills.fate import Fate, Killed, Moment, Mortal
from tests.services.runs.workers import COST, ScriptedModel, always
from tests.tenants import tenant_created

ANSWER = (TextDelta("Hello"), StreamEnd({Meter.TOKENS_IN: 3, Meter.TOKENS_OUT: 2}))
BEFORE_MIDNIGHT = datetime.fromisoformat("2026-11-30T23:58:00+00:00")
FATES = st.builds(Fate, st.integers(0, 12), st.sampled_from([Moment.BEFORE, Moment.AFTER, Moment.UNHEARD]))
"""The step at which a function dies; None: it does not."""


class SharesMachine(RuleBasedStateMachine):
    """One tenant with its clients, workers and reaper."""

    def __init__(self) -> None:
        super().__init__()
        self._database, self._bucket = MemoryDynamoDB(), MemoryS3()
        self._now = BEFORE_MIDNIGHT
        self._seq = 1
        self._sound = Store(self._database, table="entities", owned=SLICE, sleep=lambda _: None)

    @initialize(limit=st.integers(1, 3))
    def begin(self, limit: int) -> None:
        self._limit = self._most = limit
        self._know()
        documents = Artifacts(self._bucket, bucket="bucket")
        stored = documents.write(TENANT, f"agents/{AGENT_ID}/versions/1.json", {"model": "gpt-4"})
        AgentCopyTable(self._sound, TENANT).keep(AgentCopy(AGENT_ID, 1, None, 1, 1, deleted=False, received_at=NOW))
        VersionCopyTable(self._sound, TENANT).keep(VersionCopy(AGENT_ID, 1, stored))

    @rule(fate=FATES, late=st.sampled_from([0, 0, 90]))
    def post(self, fate: Fate, late: int) -> None:
        """Submit a run; its function may have read the clock seconds ago."""
        store, now = self._mortal(fate), self._tick() - timedelta(seconds=late)
        asked = RunRequest(
            run_id=new_id("run", now),
            agent_id=AGENT_ID,
            version=None,
            inputs={"message": "Hello"},
            metadata={},
            max_output_tokens=100,
            max_cost_nano_usd=None,
            request_id="request",
            trace_id="",
            waited=False,
        )
        try:
            submit_run(
                AgentCopies(store),
                self._runs(store),
                Artifacts(self._bucket, bucket="bucket"),
                self._planner(store),
                self._access(TENANT),
                asked,
                now=now,
            )
        except (Killed, DependencyUnavailable, TooManyWaitingRuns):
            return

    @precondition(lambda self: self._published())
    @rule(which=st.integers(0), fate=FATES)
    def work(self, which: int, fate: Fate) -> None:
        published = self._published()
        self._work(published[which % len(published)], self._mortal(fate))

    @precondition(lambda self: self._living())
    @rule(which=st.integers(0), fate=FATES)
    def cancel(self, which: int, fate: Fate) -> None:
        living, store = self._living(), self._mortal(fate)
        run = living[which % len(living)]
        try:
            cancel_run(self._runs(store), BudgetTable(store, TENANT), run.run_id, now=self._tick(), if_match=None)
        except (Killed, DependencyUnavailable, RunAlreadyEnded):
            return

    @rule(limit=st.integers(1, 3))
    def change_plan(self, limit: int) -> None:
        self._seq += 1
        self._limit, self._most = limit, max(self._most, limit)
        self._know()

    @rule(fate=FATES, minutes=st.sampled_from([1, 6]))
    def look(self, fate: Fate, minutes: int) -> None:
        self._now += timedelta(minutes=minutes)
        self._look(self._mortal(fate))

    @invariant()
    def no_more_execute_than_may(self) -> None:
        executing = [run for run in self._living() if run.slot_period]
        assert len(executing) <= self._most
        assert all(run.slot_period or run.waits_for_slot for run in self._living())

    def teardown(self) -> None:
        """Finish all work without further crashes."""
        for _ in range(40):
            self._now += SWEEP_GRACE_PERIOD + timedelta(seconds=31)
            self._look(self._sound)
            for run_id in self._published():
                self._work(run_id, self._sound)
        assert self._living() == []
        for month in self._database.items(f"TENANT#{TENANT}#RUNS#BUDGET"):
            assert (month.get("executing", {}), month["open"], month.get("due_pk")) == ({}, {}, None)
            assert month.get("moved_to") or not month.get("waiting")

    def _work(self, run_id: str, store: Store) -> None:
        worker = Worker(
            runs=self._runs(store),
            configs=Artifacts(self._bucket, bucket="bucket"),
            models=ScriptedModel([ANSWER] * 3),
            planner=self._planner(store),
            access=self._access,
            price=always(COST),
            clock=self._tick,
            sleep=lambda _: None,
            jitter=lambda _low, high: high,
        )
        try:
            worker.execute(run_id)
        except (Killed, DependencyUnavailable):
            return

    def _look(self, store: Store) -> None:
        runs, budgets = all_of(self._runs(store)), AllBudgets(store)
        try:
            reap(runs, budgets, now=self._now)
            sweep_budgets(budgets, runs, self._access, now=self._now)
        except (Killed, DependencyUnavailable):
            return

    def _know(self) -> None:
        TenantAccessCopies(self._sound).keep(
            tenant_created(TENANT, seq=self._seq, max_concurrent_runs=self._limit, max_tokens_per_month=-1)
        )

    def _mortal(self, fate: Fate) -> Store:
        fate.steps.clear()
        mortal: Any = Mortal(self._database, fate)
        return Store(mortal, table="entities", owned=SLICE, sleep=lambda _: None)

    def _runs(self, store: Store) -> RunTable:
        return RunTable(store, TENANT, Payloads(Artifacts(self._bucket, bucket="bucket")))

    def _planner(self, store: Store) -> Planner:
        return Planner(BudgetTable(store, TENANT), always(COST))

    def _access(self, tenant_id: str) -> TenantAccess:
        return TenantAccessCopies(self._sound).read(tenant_id)

    def _living(self) -> list[Run]:
        runs, _ = self._runs(self._sound).listing.page(RunFilter(), limit=500, after=None)
        return [run for run in runs if not run.status.final]

    def _published(self) -> list[str]:
        """Return the queued runs whose message was published."""
        return [run.run_id for run in self._living() if run.status is Status.QUEUED and not run.waits_for_slot]

    def _tick(self) -> datetime:
        self._now += timedelta(milliseconds=1)
        return self._now


def test_slot_limits_hold_after_any_steps_and_crashes() -> None:
    run_state_machine_as_test(
        SharesMachine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
