"""The functions of runs, the publisher and the ledger over one table in memory: each can be killed by itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from services.metering.table import SLICE as USAGE
from services.runs.domain.agent import AgentCopy, VersionCopy
from services.runs.domain.run import CallId, Cost, Run, Status
from services.runs.errors import RunNotEnded, RunNotFound
from services.runs.operations.deletion import clear_deleted, delete_run
from services.runs.operations.execution import Worker
from services.runs.operations.planning import Planner
from services.runs.operations.reaping import reap
from services.runs.operations.steering import cancel_run, hand_in_tool_outputs
from services.runs.operations.submission import NewRun, submit_run
from services.runs.operations.sweeping import sweep_budgets
from services.runs.table import SLICE, agents
from services.runs.table.agents import AgentCopies
from services.runs.table.budgets import BudgetTable
from services.runs.table.items import run_from_item
from services.runs.table.runs import RunFilter, RunTable
from shared.copies.tenant_access import TenantAccessCopies
from shared.errors import Conflict, DependencyUnavailable
from shared.events.envelope import Event
from shared.events.runs import RunQueued
from shared.ids import new_id
from shared.messaging.consumer import EventConsumer
from shared.messaging.publisher import Publisher
from shared.storage.idempotency import AlreadyDone, Once
from shared.storage.inbox import Delivery
from shared.storage.items import Item
from shared.storage.objects import Artifacts
from shared.storage.payloads import Payloads
from shared.storage.store import Store
from shared.tenancy.context import TenantAccess
from tests.dynamodb.memory import MemoryDynamoDB
from tests.services.runs.kills.bucket import MemoryS3
from tests.services.runs.kills.bus import Bus, batch_of
from tests.services.runs.kills.clock import Clock
from tests.services.runs.kills.fate import Fate, Killed, Mortal
from tests.services.runs.kills.provider import Line, Provider
from tests.services.runs.runs import AGENT_ID, NOW, TENANT
from tests.tenants import tenant_created

T = TypeVar("T")

TOKENS, REQUESTS = 1_000_000, 100
_CLIENT_TRIES = 2


@dataclass(frozen=True)
class Tools:
    """What a function reaches of the world: tables and the bucket."""

    store: Store
    documents: Artifacts

    @property
    def runs(self) -> RunTable:
        """The runs."""
        return RunTable(self.store, Payloads(self.documents))

    @property
    def budgets(self) -> BudgetTable:
        """The budgets."""
        return BudgetTable(self.store)

    def access(self, tenant_id: str = TENANT) -> TenantAccess:
        """The tenant as it is known."""
        return TenantAccessCopies(self.store).read(tenant_id)

    @property
    def planner(self) -> Planner:
        """Plans calls."""
        return Planner(self.budgets, _price)


def _price(*_: object) -> Cost:
    return Cost(1_000, "list 1")


class Functions:
    """All functions, and the world that they work in.

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
        """Runs when they were first seen to have ended."""
        TenantAccessCopies(self.sound.store).keep(
            tenant_created(
                TENANT,
                max_tokens_per_month=TOKENS,
                max_requests_per_month=REQUESTS,
                max_concurrent_runs=concurrent_runs,
            )
        )
        stored = self.sound.documents.write(TENANT, f"agents/{AGENT_ID}/versions/1.json", dict(config))
        agents.keep_agent(self.sound.store, TENANT, AgentCopy(AGENT_ID, 1, None, 1, 1, deleted=False, heard_at=NOW))
        agents.keep_version(self.sound.store, TENANT, VersionCopy(AGENT_ID, 1, stored))
        self.bus = Bus(self.entities, self.sound.store, self.ledger, self.clock)

    @property
    def mortal(self) -> Tools:
        """What a function has that may be killed."""
        return self._tools(Mortal(self.entities, self.fate), Mortal(self.bucket, self.fate))

    def _tools(self, client: Any, bucket: Any) -> Tools:  # noqa: ANN401 — clients of botocore's kind
        store = Store(client, table="entities", owned=SLICE, sleep=lambda _: None)
        return Tools(store, Artifacts(bucket, bucket="bucket"))

    def post(self, message: str = "Hello", *, waited: bool = False, key: str | None = "key") -> str | None:
        """What a client does that wants a run: with a key it sends the request again; gives the run's id."""
        for _ in range(_CLIENT_TRIES if key else 1):
            try:
                return self._post(message, waited=waited, key=key)
            except (Killed, DependencyUnavailable):
                self.clock.wait(seconds=2)
        return None

    def _post(self, message: str, *, waited: bool, key: str | None) -> str:
        tools, now = self.mortal, self.clock.now
        once = Once(TENANT, "user:1 POST runs", key, message, now) if key else None
        try:
            if once:
                once.ensure_new(tools.store)
            run = submit_run(
                AgentCopies(tools.store),
                tools.runs,
                _Configs(tools),
                tools.planner,
                tools.access(),
                _asked(message, once, now=now, waited=waited),
                now=now,
                once=once,
            )
        except AlreadyDone as done:
            return done.resource_id
        if waited:
            self.fate.take("invoke", lambda: self._work_alone(run.run_id))
        return run.run_id

    def _work_alone(self, run_id: str) -> None:
        """The function that is invoked dies by itself, and whoever waits for it hears only that."""
        try:
            self._worker().execute(TENANT, run_id)
        except Killed:
            self.provider.finish_for_nobody()

    def work(self) -> None:
        """Hand every message of the queue to a worker; it comes again unless it was handled."""
        consumer = EventConsumer("runs.worker")

        @consumer.on(RunQueued)
        def execute(event: Event[RunQueued], _: Delivery) -> None:
            self._worker().execute(event.tenant_id, event.data.run_id)

        waiting, self.bus.queue = self.bus.queue, []
        for detail in waiting:
            try:
                if consumer(batch_of(detail))["batchItemFailures"]:
                    self.bus.queue.append(detail)
            except Killed:
                self.provider.finish_for_nobody()
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
        """What is sent is written down: there is one run, so its open call is the one."""
        [call] = [run.open_call_id for run in self.all_runs() if run.status is Status.RUNNING]
        assert call, "a call was sent that is not written down"
        return call

    def cancel(self, run_id: str) -> Status | None:
        """The client cancels, twice when it hears nothing; gives what it was told."""
        return self._ask(
            lambda tools: (
                cancel_run(tools.runs, tools.budgets, TENANT, run_id, now=self.clock.now, if_match=None).status
            )
        )

    def hand_in(self, run_id: str, outputs: Mapping[str, str]) -> Status | None:
        """The client hands in what its tools gave, twice when it hears nothing."""
        return self._ask(
            lambda tools: (
                hand_in_tool_outputs(
                    tools.runs, _Configs(tools), tools.planner, tools.access(), run_id, outputs, now=self.clock.now
                ).status
            )
        )

    def delete(self, run_id: str) -> bool | None:
        """The client deletes, twice when it hears nothing."""

        def delete(tools: Tools) -> bool:
            self._note_ends()
            delete_run(tools.runs, tools.budgets, TENANT, run_id, now=self.clock.now, if_match=None)
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
        """The reaper's minute."""
        tools, now = self.mortal, self.clock.now
        try:
            reap(tools.runs, tools.budgets, now=now)
            sweep_budgets(tools.budgets, tools.runs, tools.access, now=now)
            clear_deleted(tools.runs, now=now)
        except (Killed, DependencyUnavailable):
            pass

    def publish(self) -> None:
        """Say all that waits in the outbox; the ledger and the queue hear everything twice."""
        self._note_ends()
        items = list(self.entities.items(f"TENANT#{TENANT}#RUNS#OUTBOX"))
        if items:
            Publisher(self.bus, "bus", self.bus).publish("entities", items)

    def all_runs(self) -> list[Run]:
        """As they are now."""
        return self.sound.runs.page(TENANT, RunFilter(), limit=100, after=None)[0]

    @property
    def are_done(self) -> bool:
        """Whether nothing is left to do for anybody."""
        waiting = any(self.entities.items(f"TENANT#{TENANT}#RUNS#OUTBOX")) or self.bus.queue
        due = any("due_pk" in item for item in self.entities.items(f"TENANT#{TENANT}#RUNS"))
        return not waiting and not due

    def ended_runs(self) -> list[Run]:
        """All that were seen to end, also those that were deleted since; without what lies in the bucket."""
        payloads = Payloads(self.sound.documents)
        return [run_from_item(item, payloads, whole=False) for item in self.ends.values()]

    def _note_ends(self) -> None:
        for item in self.entities.items(f"TENANT#{TENANT}#RUNS#RUN#"):
            if item["SK"] == "RUN" and Status(str(item["status"])).final:
                assert self.ends.setdefault(str(item["run_id"]), item) == item, "a run has changed after its end"


@dataclass(frozen=True)
class _Configs:
    """Configs, read anew each time, as by a new container."""

    tools: Tools

    def read(self, tenant_id: str, stored: Any) -> Any:  # noqa: ANN401 — as `Documents`
        """See `Configs.read`."""
        return self.tools.documents.read(tenant_id, stored)


def _asked(message: str, once: Once | None, *, now: datetime, waited: bool) -> NewRun:
    return NewRun(
        run_id=new_id("run", now, entropy=once.entropy) if once else new_id("run", now),
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
