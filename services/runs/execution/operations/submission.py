"""Submission of runs: the version is pinned, the first call is planned and reserved, the run is stored and queued."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.runs.agents.domain import AgentCopy, Configs, VersionCopy
from services.runs.agents.operations import pin_version
from services.runs.agents.table import AgentCopies
from services.runs.budgets.operations.slots import dispatch_after_enqueue, enqueue, leave, release_and_dispatch
from services.runs.budgets.table.budgets import BudgetTable
from services.runs.errors import NoFreeSlot, ObjectsBeingRemoved, StorageFull
from services.runs.execution.operations.planning import PlannedCall, Planner
from services.runs.providers.domain.request import compose, fallback_request
from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.lifecycle import Change
from services.runs.runs.domain.run import CallId, PinnedVersion, Run, RunRequest
from services.runs.runs.table.runs import RunTable
from shared.errors import Conflict, IdempotencyKeyReused
from shared.events.envelope import Event
from shared.events.runs import RunEvent
from shared.storage.idempotency import AlreadyDone, IdempotencyKey
from shared.tenancy.context import TenantAccess

_NOT_STORED_ERRORS = (AlreadyDone, IdempotencyKeyReused, Conflict, StorageFull, ObjectsBeingRemoved)
"""Errors after which the run is certainly not stored."""


def submit_run(
    agents: AgentCopies,
    runs: RunTable,
    configs: Configs,
    planner: Planner,
    access: TenantAccess,
    run_request: RunRequest,
    *,
    now: datetime,
    idempotency_key: IdempotencyKey | None = None,
) -> Run:
    """Create a run of the agent's version, which is pinned now.

    An idempotent retry reuses the run id of the earlier reservation. If all slots of the tenant are taken, the run
    waits in the tenant's own queue, without a reservation.

    Raises:
        RequestedAgentNotFound, RequestedVersionNotFound: there is nothing to run.
        ModelWithoutPrice: the cost is limited and a model's price is unknown.
        LimitReached: the first call does not fit into the remaining budget or the run's cost limit.
        StorageFull: the artifacts of the run exceed the plan's limit.
        TooManyRequests: too many runs of the tenant are waiting.
        DependencyUnavailable: a new agent or version is not known here yet, or the remaining budget cannot be read.
    """
    agent, version = pin_version(agents, access.tenant_id, run_request.agent_id, run_request.version, now=now)
    submission = _Submission(runs, planner.budgets, access, run_request, agent, version, idempotency_key, now)
    try:
        planned = _plan(planner, access, run_request, configs.read(access.tenant_id, version.config), now=now)
    except NoFreeSlot as full:
        return submission.store_waiting(full)
    return submission.store(planned)


@dataclass(frozen=True, slots=True)
class _Submission:
    """A run to be stored."""

    runs: RunTable
    budgets: BudgetTable
    access: TenantAccess
    run_request: RunRequest
    agent: AgentCopy
    version: VersionCopy
    idempotency_key: IdempotencyKey | None
    now: datetime

    def store(self, planned: PlannedCall) -> Run:
        """Store a run that has a slot and a reservation; release both if the run cannot be stored."""
        run, events = self._new_run(planned)
        try:
            self._add(run, events)
        except _NOT_STORED_ERRORS:
            release_and_dispatch(self.budgets, self.runs, planned.reserved, now=self.now)
            raise
        return run

    def store_waiting(self, full: NoFreeSlot) -> Run:
        """Store a run that waits for a slot.

        Raises:
            TooManyRequests: the maximum number of runs waits.
        """
        enqueue(self.budgets, full, now=self.now)
        run, events = self._new_run(None)
        try:
            self._add(run, events)
        except _NOT_STORED_ERRORS:
            leave(self.budgets, now=self.now)
            raise
        dispatch_after_enqueue(self.budgets, self.runs, full, now=self.now)
        return run

    def _add(self, run: Run, events: list[Event[RunEvent]]) -> None:
        self.runs.create(run, events, idempotency_key=self.idempotency_key, storage_gb=self.access.allowance.storage_gb)

    def _new_run(self, planned: PlannedCall | None) -> Change:
        request = replace(self.run_request, run_id=planned.id.run_id) if planned else self.run_request
        return lifecycle.submit(
            self.access.tenant_id,
            request,
            PinnedVersion(self.version.version, self.version.config, self.agent.project_id),
            first_call=planned.call if planned else None,
            plan=self.access.plan,
            now=self.now,
        )


def _plan(
    planner: Planner, access: TenantAccess, run_request: RunRequest, config: Mapping[str, Any], *, now: datetime
) -> PlannedCall:
    request = compose(config, run_request.inputs, max_output_tokens=run_request.max_output_tokens)
    if run_request.max_cost_nano_usd is not None:
        for model in config.get("fallbacks", ()):
            planner.check_priced(fallback_request(request, model), now=now)
    return planner.plan(
        access,
        CallId(run_request.run_id, attempt=1, number=1),
        request,
        left_nano_usd=run_request.max_cost_nano_usd,
        now=now,
        from_client=True,
    )
