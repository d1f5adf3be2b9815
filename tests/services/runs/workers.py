"""Workers for tests: scripted models and no real time."""

import secrets
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from services.runs.agents.table import AgentCopies
from services.runs.errors import ProviderFailed
from services.runs.execution.operations.dependencies import ACTIVE, Models
from services.runs.execution.operations.planning import Planner, Price
from services.runs.execution.operations.recovery import reap
from services.runs.execution.operations.submission import submit_run
from services.runs.execution.operations.worker import Worker
from services.runs.partitions import SLICE
from services.runs.providers.domain.model import Model, StreamPart
from services.runs.providers.domain.request import ModelRequest
from services.runs.providers.gateway.simulated import SimulatedModel
from services.runs.runs.domain.run import Cost, Run, RunRequest
from services.runs.runs.table.runs import RunTable
from shared.copies.tenant_access import TenantAccessCopies
from shared.ids import new_id
from shared.storage.idempotency import IdempotencyKey
from shared.storage.transaction import Expression
from shared.tenancy.context import TenantAccess
from tests.services.runs.conftest import World
from tests.services.runs.examples import AGENT_ID, NOW, TENANT, TRACE_ID

LATER = NOW + timedelta(hours=1)
"""A time at which the agent is no longer fresh."""
COST = Cost(1_000, "list 1")
"""The default cost of a call."""
Happening = StreamPart | ProviderFailed | Callable[[], object]


@dataclass
class ScriptedModel:
    """Responds to each call with the next script, and calls the callables in it."""

    scripts: Sequence[Sequence[Happening]]
    requests: list[ModelRequest] = field(default_factory=list[ModelRequest])
    closed: int = 0

    def effective_request(self, tenant_id: str, request: ModelRequest) -> ModelRequest:  # noqa: ARG002 — as for all
        """Return the request unchanged."""
        return request

    def of(self, tenant_id: str, request: ModelRequest) -> Model:  # noqa: ARG002 — there is but one
        """Return this model."""
        return self

    def stream(self, request: ModelRequest) -> Generator[StreamPart]:
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

    def effective_request(self, tenant_id: str, request: ModelRequest) -> ModelRequest:  # noqa: ARG002 — as for all
        """Return the request with the built-in provider."""
        return replace(request, provider="simulated")

    def of(self, tenant_id: str, request: ModelRequest) -> Model:  # noqa: ARG002 — there is but one
        """Return the built-in provider."""
        return SimulatedModel(sleep=lambda _: None)


def submit(
    world: World,
    *,
    waited: bool = False,
    version: int | None = None,
    agent_id: str = AGENT_ID,
    message: str = "Hello",
    now: datetime = LATER,
    idempotency_key: IdempotencyKey | None = None,
    price: Price | None = None,
    parameters: Mapping[str, Any] = {},
    inputs: Mapping[str, Any] | None = None,
    **limits: int,
) -> Run:
    """Submit a run, with these limits of its request."""
    asked = RunRequest(
        run_id=new_id("run", now, entropy=idempotency_key.entropy if idempotency_key else secrets.randbits),
        agent_id=agent_id,
        version=version,
        inputs=inputs or {"message": message},
        metadata={},
        parameters=parameters,
        max_output_tokens=limits.get("max_output_tokens"),
        max_cost_nano_usd=limits.get("max_cost_nano_usd"),
        request_id="request",
        trace_id=TRACE_ID,
        waited=waited,
    )
    planner = planner_of(world, price=price)
    agents, known = AgentCopies(world.store), access(world)
    return submit_run(
        agents, world.runs, world.documents, planner, known, asked, now=now, idempotency_key=idempotency_key
    )


def access(world: World, tenant_id: str = TENANT) -> TenantAccess:
    """Return the copy of the tenant."""
    return TenantAccessCopies(world.store).read(tenant_id)


def planner_of(world: World, *, price: Price | None = None) -> Planner:
    """Return a planner; by default each call costs the same."""
    return Planner(world.budgets, price or always(COST))


def always(cost: Cost) -> Price:
    """Return a constant price."""
    return lambda request, meters, at: cost  # noqa: ARG005 — a fixed cost


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
    """Return a worker."""
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
    """Execute the run with a worker and return it."""
    worker_of(world, models, **options).execute(run.run_id)
    return world.runs.get(run.run_id)


def acquire_lease(world: World, run_id: str, *, now: datetime) -> Run | None:
    """Lease the run, as a worker does."""
    item = world.runs.acquire_lease(run_id, now=now)
    return world.runs.load(item) if item else None


def due_runs(world: World, *, now: datetime) -> list[Run]:
    """Return the due runs."""
    return [world.runs.get(entry.key.pk.rpartition("#")[2]) for entry in world.all_runs.queue.entries(now=now)]


def under_way(runs: RunTable) -> list[str]:
    """Return the ids of the runs that a tenant deletion cancels."""
    due = (run_id for run_id, is_due in runs.listing.ids_with_due(before=None) if is_due)
    return [*runs.backlog.run_ids(), *due]


def reaped(world: World, *, now: datetime) -> int:
    """Run the reaper; return the number of recovered runs."""
    return len(reap(world.all_runs, world.all_budgets, now=now).results)


def outbox(world: World) -> list[str]:
    """Return the ids of the events in the outbox."""
    items = world.store.query_all(Expression("#PK = :pk", {"pk": SLICE.key(TENANT, "OUTBOX")}))
    return [str(item["SK"]).removeprefix("OUTBOX#") for item in items]
