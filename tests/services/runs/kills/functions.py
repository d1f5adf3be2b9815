"""The functions of runs, the publisher and the ledger over one table in memory. Each can be killed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from services.core.outbox.operations.publishing import Publisher
from services.metering.partitions import SLICE as USAGE
from services.runs.agents.domain import AgentCopy, VersionCopy
from services.runs.agents.table import AgentCopies, AgentCopyTable, VersionCopyTable
from services.runs.budgets.operations.sweep import sweep_budgets
from services.runs.budgets.table.budgets import AllBudgets, BudgetTable
from services.runs.deletion.operations import clear_deleted, delete_run
from services.runs.errors import RunNotEnded, RunNotFound
from services.runs.execution.operations.cancel import cancel_run
from services.runs.execution.operations.planning import Planner
from services.runs.execution.operations.recovery import expire_tool_calls, reap
from services.runs.execution.operations.submission import submit_run
from services.runs.execution.operations.tool_outputs import submit_tool_outputs
from services.runs.execution.operations.worker import Worker
from services.runs.partitions import SLICE
from services.runs.runs.domain.run import CallId, Cost, Run, RunRequest, Status
from services.runs.runs.table.listing import RunFilter
from services.runs.runs.table.runs import RunTable
from shared.copies.tenant_access import TenantAccessCopies
from shared.errors import Conflict, DependencyUnavailable
from shared.events.envelope import Event
from shared.events.runs import RunQueued
from shared.ids import new_id
from shared.messaging.consumer import EventConsumer
from shared.storage.idempotency import AlreadyDone, IdempotencyKey
from shared.storage.inbox import Delivery
from shared.storage.items import Item
from shared.storage.objects import Artifacts
from shared.storage.payloads import Payloads
from shared.storage.store import Store
from shared.tenancy.context import TenantAccess
from shared.times import utc_now
from tests.dynamodb.memory import MemoryDynamoDB
from tests.services.runs.conftest import all_of
from tests.services.runs.examples import AGENT_ID, NOW, TENANT
from tests.services.runs.kills.bucket import MemoryS3
from tests.services.runs.kills.bus import Bus, batch_of
from tests.services.runs.kills.clock import Clock
from tests.services.runs.kills.fate import Fate, Killed, Mortal
from tests.services.runs.kills.provider import Line, Provider
from tests.tenants import tenant_created

T = TypeVar("T")

TOKENS, REQUESTS = 1_000_000, 100
_CLIENT_TRIES = 2


@dataclass(frozen=True)
class Tools:
    """The tables and the bucket of a function."""

    store: Store
    documents: Artifacts

    @property
    def runs(self) -> RunTable:
        """The runs."""
        return RunTable(self.store, TENANT, Payloads(self.documents))

    @property
    def budgets(self) -> BudgetTable:
        """The budgets."""
        return BudgetTable(self.store, TENANT)

    def access(self, tenant_id: str = TENANT) -> TenantAccess:
        """Return the copy of the tenant."""
        return TenantAccessCopies(self.store).read(tenant_id)

    @property
    def planner(self) -> Planner:
        """Return a planner."""
        return Planner(self.budgets, _price)


def _price(*_: object) -> Cost:
    return Cost(1_000, "list 1")


class Functions:
    """All functions and their environment.

    Args:
        provider: what their workers call.
        fate: of the functions, until the scenario is over.
        config: of the agent.
        concurrent_runs: that the tenant's plan allows.
    """

    def __init__(
        self, provider: Provider, fate: Fate, config: Mapping[str, object], *, concurrent_runs: int = 50
    ) -> None:
        self.provider = provider
        self.fate = fate
        self.clock = Clock()
        self.entities, self.usage, self.bucket = MemoryDynamoDB(), MemoryDynamoDB(), MemoryS3()
        self.sound = self._tools(self.entities, self.bucket)
        self.ledger = Store(self.usage, table="usage", owned=USAGE)
        self.ends: dict[str, Item] = {}
        """Runs as they were when their end was first observed."""
        TenantAccessCopies(self.sound.store).keep(
            tenant_created(
                TENANT,
                max_tokens_per_month=TOKENS,
                max_requests_per_month=REQUESTS,
                max_concurrent_runs=concurrent_runs,
            )
        )
        stored = self.sound.documents.write(TENANT, f"agents/{AGENT_ID}/versions/1.json", dict(config))
        AgentCopyTable(self.sound.store, TENANT).keep(
            AgentCopy(AGENT_ID, 1, None, 1, 1, deleted=False, received_at=NOW)
        )
        VersionCopyTable(self.sound.store, TENANT).keep(VersionCopy(AGENT_ID, 1, stored))
        self.bus = Bus(self.entities, self.sound.store, self.ledger, self.clock)

    @property
    def mortal(self) -> Tools:
        """Return the tools of a function that may be killed."""
        return self._tools(Mortal(self.entities, self.fate), Mortal(self.bucket, self.fate))

    def _tools(self, client: Any, bucket: Any) -> Tools:  # noqa: ANN401 — clients of botocore's kind
        store = Store(client, table="entities", owned=SLICE, sleep=lambda _: None)
        return Tools(store, Artifacts(bucket, bucket="bucket"))

    def post(self, message: str = "Hello", *, waited: bool = False, key: str | None = "key") -> str | None:
        """Submit a run as a client; with a key, retry the request. Return the run's id."""
        for _ in range(_CLIENT_TRIES if key else 1):
            try:
                return self._post(message, waited=waited, key=key)
            except (Killed, DependencyUnavailable):
                self.clock.wait(seconds=2)
        return None

    def _post(self, message: str, *, waited: bool, key: str | None) -> str:
        tools, now = self.mortal, self.clock.now
        idempotency_key = IdempotencyKey(TENANT, "user:1 POST runs", key, message, now) if key else None
        try:
            if idempotency_key:
                idempotency_key.ensure_new(tools.store)
            run = submit_run(
                AgentCopies(tools.store),
                tools.runs,
                _Configs(tools),
                tools.planner,
                tools.access(),
                _asked(message, idempotency_key, now=now, waited=waited),
                now=now,
                idempotency_key=idempotency_key,
            )
        except AlreadyDone as done:
            return done.resource_id
        if waited:
            self.fate.execute("invoke", lambda: self._work_alone(run.run_id))
        return run.run_id

    def _work_alone(self, run_id: str) -> None:
        """Invoke a worker that may be killed; its caller only sees that the invocation failed."""
        try:
            self._worker().execute(run_id)
        except Killed:
            self.provider.finish_unread()

    def work(self) -> None:
        """Deliver every message of the queue to a worker, again if it was not handled."""
        consumer = EventConsumer("runs.worker")

        @consumer.on(RunQueued)
        def execute(event: Event[RunQueued], _: Delivery) -> None:
            self._worker().execute(event.data.run_id)

        waiting, self.bus.queue = self.bus.queue, []
        for detail in waiting:
            try:
                if consumer(batch_of(detail))["batchItemFailures"]:
                    self.bus.queue.append(detail)
            except Killed:
                self.provider.finish_unread()
                self.bus.queue.append(detail)

    def _worker(self) -> Worker:
        tools = self.mortal
        return Worker(
            runs=tools.runs,
            configs=_Configs(tools),
            models=Line(self.provider, self.fate, self._open_call),
            planner=tools.planner,
            access=tools.access,
            price=_price,
            clock=lambda: self.clock.now,
            sleep=lambda seconds: self.clock.wait(seconds=seconds),
            jitter=lambda _low, high: high,
        )

    def _open_call(self) -> CallId:
        """Check that a sent call is recorded as the open call of the one run."""
        [call] = [run.open_call_id for run in self.all_runs() if run.status is Status.RUNNING]
        assert call, "a call was sent that is not written down"
        return call

    def cancel(self, run_id: str) -> Status | None:
        """Cancel as a client, again without a response; return the response."""
        return self._ask(
            lambda tools: cancel_run(tools.runs, tools.budgets, run_id, now=self.clock.now, if_match=None).status
        )

    def hand_in(self, run_id: str, outputs: Mapping[str, str]) -> Status | None:
        """Submit tool outputs as a client, again without a response."""
        return self._ask(
            lambda tools: (
                submit_tool_outputs(
                    tools.runs, _Configs(tools), tools.planner, tools.access(), run_id, outputs, now=self.clock.now
                ).status
            )
        )

    def delete(self, run_id: str) -> bool | None:
        """Delete as a client, again without a response."""

        def delete(tools: Tools) -> bool:
            self._note_ends()
            delete_run(tools.runs, tools.budgets, run_id, now=self.clock.now, if_match=None)
            return True

        return self._ask(delete)

    def _ask(self, do: Callable[[Tools], T]) -> T | None:
        for _ in range(_CLIENT_TRIES):
            try:
                return do(self.mortal)
            except (Conflict, RunNotEnded, RunNotFound):
                return None
            except (Killed, DependencyUnavailable):
                self.clock.wait(seconds=2)
        return None

    def look(self) -> None:
        """Run the reaper once."""
        tools, now = self.mortal, self.clock.now
        try:
            runs, budgets = all_of(tools.runs), AllBudgets(tools.store)
            reap(runs, budgets, now=now)
            expire_tool_calls(runs, budgets, now=now)
            sweep_budgets(budgets, runs, tools.access, now=now)
            clear_deleted(runs, now=now)
        except (Killed, DependencyUnavailable):
            pass

    def publish(self) -> None:
        """Publish the outbox. The ledger and the queue receive every event twice."""
        self._note_ends()
        items = list(self.entities.items(f"TENANT#{TENANT}#RUNS#OUTBOX"))
        if items:
            Publisher(self.bus, "bus", self.bus, utc_now).publish("entities", items)

    def all_runs(self) -> list[Run]:
        """Return the current runs."""
        return self.sound.runs.listing.page(RunFilter(), limit=100, after=None)[0]

    @property
    def are_done(self) -> bool:
        """Return whether no work is left."""
        waiting = any(self.entities.items(f"TENANT#{TENANT}#RUNS#OUTBOX")) or self.bus.queue
        due = any("due_pk" in item for item in self.entities.items(f"TENANT#{TENANT}#RUNS"))
        return not waiting and not due

    def ended_runs(self) -> list[Run]:
        """Return all runs whose end was observed, deleted ones included, without objects."""
        return [self.sound.runs.listed(item) for item in self.ends.values()]

    def _note_ends(self) -> None:
        for item in self.entities.items(f"TENANT#{TENANT}#RUNS#RUN#"):
            if item["SK"] == "RUN" and Status(str(item["status"])).final:
                assert self.ends.setdefault(str(item["run_id"]), item) == item, "a run has changed after its end"


@dataclass(frozen=True)
class _Configs:
    """Configs that are read each time, as by a new container."""

    tools: Tools

    def read(self, tenant_id: str, stored: Any) -> Any:  # noqa: ANN401 — as `Documents`
        """See `Configs.read`."""
        return self.tools.documents.read(tenant_id, stored)


def _asked(message: str, idempotency_key: IdempotencyKey | None, *, now: datetime, waited: bool) -> RunRequest:
    return RunRequest(
        run_id=new_id("run", now, entropy=idempotency_key.entropy) if idempotency_key else new_id("run", now),
        agent_id=AGENT_ID,
        version=None,
        inputs={"message": message},
        metadata={},
        max_output_tokens=500,
        max_cost_nano_usd=None,
        request_id="request",
        trace_id="",
        waited=waited,
    )
