"""What a worker works with in tests: models that do as they are told, and no real time."""

import secrets
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from services.runs.domain.request import ModelRequest
from services.runs.domain.run import Cost, Run
from services.runs.errors import ProviderFailed
from services.runs.gateways.model import Model, Part
from services.runs.gateways.simulated import SimulatedModel
from services.runs.operations.execution import ACTIVE, Models, Worker
from services.runs.operations.planning import Planner, Price
from services.runs.operations.reaping import reap
from services.runs.operations.submission import NewRun, submit_run
from services.runs.table import SLICE
from services.runs.table.agents import AgentCopies
from shared.copies.tenant_access import TenantAccessCopies
from shared.ids import new_id
from shared.storage.idempotency import Once
from shared.storage.transaction import Expression
from shared.tenancy.context import TenantAccess
from tests.services.runs.conftest import World
from tests.services.runs.runs import AGENT_ID, NOW, TENANT, TRACE_ID

LATER = NOW + timedelta(hours=1)
"""When the agent is not fresh any more."""
COST = Cost(1_000, "list 1")
"""Of every call, unless a test says otherwise."""
Happening = Part | ProviderFailed | Callable[[], object]


@dataclass
class ScriptedModel:
    """Answers each call with the next script; what can be called happens in the middle of it."""

    scripts: Sequence[Sequence[Happening]]
    requests: list[ModelRequest] = field(default_factory=list[ModelRequest])
    closed: int = 0

    def answering(self, tenant_id: str, request: ModelRequest) -> ModelRequest:  # noqa: ARG002 — as for all
        """By the provider that was asked for."""
        return request

    def of(self, tenant_id: str, request: ModelRequest) -> Model:  # noqa: ARG002 — there is but one
        """This is the only model."""
        return self

    def stream(self, request: ModelRequest) -> Generator[Part]:
        """See `Model.stream`."""
        script = self.scripts[len(self.requests)]
        self.requests.append(request)
        try:
            for happening in script:
                if isinstance(happening, ProviderFailed):
                    raise happening
                if callable(happening):
                    happening()
                else:
                    yield happening
        finally:
            self.closed += 1


class Simulating:
    """The built-in provider for every request."""

    def answering(self, tenant_id: str, request: ModelRequest) -> ModelRequest:  # noqa: ARG002 — as for all
        """By the built-in provider."""
        return replace(request, provider="simulated")

    def of(self, tenant_id: str, request: ModelRequest) -> Model:  # noqa: ARG002 — there is but one
        """The built-in provider."""
        return SimulatedModel(sleep=lambda _: None)


def submit(
    world: World,
    *,
    waited: bool = False,
    version: int | None = None,
    agent_id: str = AGENT_ID,
    message: str = "Hello",
    now: datetime = LATER,
    once: Once | None = None,
    price: Price | None = None,
    **asked_for: int,
) -> Run:
    """A run a moment after its POST; `asked_for` are limits that it asks for."""
    asked = NewRun(
        run_id=new_id("run", now, entropy=once.entropy if once else secrets.randbits),
        agent_id=agent_id,
        version=version,
        inputs={"message": message},
        metadata={},
        max_output_tokens=asked_for.get("max_output_tokens"),
        max_cost_nano_usd=asked_for.get("max_cost_nano_usd"),
        request_id="request",
        trace_id=TRACE_ID,
        waited=waited,
    )
    planner = planner_of(world, price=price)
    agents, known = AgentCopies(world.store), access(world)
    return submit_run(agents, world.runs, world.documents, planner, known, asked, now=now, once=once)


def access(world: World, tenant_id: str = TENANT) -> TenantAccess:
    """The tenant as it is known."""
    return TenantAccessCopies(world.store).read(tenant_id)


def planner_of(world: World, *, price: Price | None = None) -> Planner:
    """Plans calls; each costs the same, unless a test says otherwise."""
    return Planner(world.budgets, price or always(COST))


def always(cost: Cost) -> Price:
    """Every call costs the same."""
    return lambda request, meters, at: cost  # noqa: ARG005 — whatever it is


def worker_of(
    world: World,
    models: Models | None = None,
    *,
    clock: Iterator[datetime] | None = None,
    cost: Cost = COST,
    price: Price | None = None,
    slept: list[float] | None = None,
    on_access: Callable[[str], object] = lambda _: None,
    status: str = ACTIVE,
) -> Worker:
    """A worker in this world."""
    pauses = slept if slept is not None else []

    def read_access(tenant_id: str) -> TenantAccess:
        on_access(tenant_id)
        return access(world, tenant_id)

    return Worker(
        runs=world.runs,
        configs=world.documents,
        models=models or Simulating(),
        planner=planner_of(world, price=price),
        access=read_access,
        price=price or always(cost),
        clock=(lambda: next(clock)) if clock else (lambda: LATER),
        sleep=pauses.append,
        jitter=lambda _low, high: high,
        status=lambda _: status,
    )


def execute(world: World, run: Run, models: Models | None = None, **options: Any) -> Run:  # noqa: ANN401 — those of worker_of
    """Let a worker have the run; gives the run as it is afterwards."""
    worker_of(world, models, **options).execute(TENANT, run.run_id)
    return world.runs.get(TENANT, run.run_id)


def take(world: World, run_id: str, *, now: datetime) -> Run | None:
    """Lease the run, as a worker does."""
    item = world.runs.take(TENANT, run_id, now=now)
    return world.runs.whole(item) if item else None


def due_runs(world: World, *, now: datetime) -> list[Run]:
    """The runs that the reaper looks at."""
    return [world.runs.get(TENANT, entry.key.pk.rpartition("#")[2]) for entry in world.runs.queue.entries(now=now)]


def reaped(world: World, *, now: datetime) -> int:
    """Let the reaper look; gives how many runs it has given back or ended."""
    return len(reap(world.runs, world.budgets, now=now).results)


def outbox(world: World) -> list[str]:
    """The ids of the events that wait."""
    items = world.store.query_all(Expression("#PK = :pk", {"pk": SLICE.key(TENANT, "OUTBOX")}))
    return [str(item["SK"]).removeprefix("OUTBOX#") for item in items]
