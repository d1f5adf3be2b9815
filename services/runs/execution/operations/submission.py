"""Submission of runs: the version is pinned, the first call is planned and reserved, the run is stored and queued."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.runs.agents.domain import Configs
from services.runs.agents.operations import pin_version
from services.runs.agents.table import AgentCopies
from services.runs.budgets.operations.slots import dispatch_after_enqueue, enqueue, leave, release_and_dispatch
from services.runs.budgets.table.budgets import BudgetTable
from services.runs.errors import NoFreeSlot, ObjectsBeingRemoved, StorageFull
from services.runs.execution.operations.planning import PlannedCall, Planner
from services.runs.prompts.operations import check_run_variables, pin_prompt, read_config
from services.runs.providers.domain.media import check_media
from services.runs.providers.domain.parameters import check_tool_choice
from services.runs.providers.domain.request import compose, fallback_request
from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.lifecycle import Change
from services.runs.runs.domain.run import CallId, PinnedPrompt, PinnedVersion, Run, RunRequest
from services.runs.runs.table.runs import RunTable
from shared.document_ref import DocumentRef
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
        ToolChoiceImpossible: the run forces a tool that its config does not have.
        MediaNotSupported: the model or a fallback does not accept an image or a file of the inputs.
        PromptOfAgentNotFound, PromptOfAgentDeleted: its prompt does not exist.
        UnknownRunVariables, VariablesMissing, PromptTooLarge: the variables do not fit the prompt.
        ModelWithoutPrice: the cost is limited and a model's price is unknown.
        LimitReached: the first call does not fit into the remaining budget or the run's cost limit.
        StorageFull: the artifacts of the run exceed the plan's limit.
        TooManyRequests: too many runs of the tenant are waiting.
        DependencyUnavailable: a new agent or version is not known here yet, or the remaining budget cannot be read.
    """
    pinned, config = _pin(agents, configs, access, run_request, now=now)
    submission = _Submission(runs, planner.budgets, access, run_request, pinned, idempotency_key, now)
    try:
        planned = _plan(planner, access, run_request, config, now=now)
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
    pinned: PinnedVersion
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
            self.pinned,
            first_call=planned.call if planned else None,
            plan=self.access.plan,
            now=self.now,
        )


def _pin(
    agents: AgentCopies, configs: Configs, access: TenantAccess, run_request: RunRequest, *, now: datetime
) -> tuple[PinnedVersion, Mapping[str, Any]]:
    """Return the version of the agent, and its config with the rendered system prompt."""
    if run_request.pinned:
        pinned, template = run_request.pinned, run_request.pinned.prompt.template if run_request.pinned.prompt else None
        return pinned, read_config(
            configs, access.tenant_id, pinned.config, template=template, inputs=run_request.inputs
        )
    agent, version = pin_version(agents, access.tenant_id, run_request.agent_id, run_request.version, now=now)
    config, prompt = _pin_prompt(agents, configs, access.tenant_id, version.config, run_request.inputs, now=now)
    return PinnedVersion(version.version, version.config, agent.project_id, prompt), config


def _pin_prompt(
    agents: AgentCopies,
    configs: Configs,
    tenant_id: str,
    config: DocumentRef,
    inputs: Mapping[str, Any],
    *,
    now: datetime,
) -> tuple[Mapping[str, Any], PinnedPrompt | None]:
    """Return the config with the rendered system prompt, and the version of the prompt if it is a stored one."""
    found = pin_prompt(agents.prompts, tenant_id, configs.read(tenant_id, config), now=now)
    template = found.template if found else None
    if inputs.get("variables"):
        check_run_variables(configs, tenant_id, template, inputs)
    rendered = read_config(configs, tenant_id, config, template=template, inputs=inputs)
    return rendered, PinnedPrompt(found.prompt_id, found.version, found.template) if found else None


def _plan(
    planner: Planner, access: TenantAccess, run_request: RunRequest, config: Mapping[str, Any], *, now: datetime
) -> PlannedCall:
    request = compose(
        config,
        run_request.inputs,
        parameters=run_request.parameters,
        max_output_tokens=run_request.max_output_tokens,
    )
    check_tool_choice(request)
    check_media(request)
    for model in config.get("fallbacks") or ():
        fallback = fallback_request(request, model)
        check_media(fallback)
        if run_request.max_cost_nano_usd is not None:
            planner.check_priced(fallback, now=now)
    return planner.plan(
        access,
        CallId(run_request.run_id, attempt=1, number=1),
        request,
        left_nano_usd=run_request.max_cost_nano_usd,
        now=now,
        from_client=True,
        is_whole=run_request.trial is not None,
    )
