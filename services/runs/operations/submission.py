"""Submitting runs: the version is pinned, the first call is planned and its budget held, the run stored and queued."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from services.runs.domain import lifecycle
from services.runs.domain.agent import AgentCopy, VersionCopy, may_be_coming
from services.runs.domain.lifecycle import Change
from services.runs.domain.request import compose, falling_back
from services.runs.domain.run import CallId, Run
from services.runs.errors import AgentNotFound, NoFreeSlot, VersionNotFound
from services.runs.operations.planning import Planned, Planner
from services.runs.operations.slots import dispatch_behind, enqueue, give_up_and_dispatch, leave
from services.runs.table.agents import AgentCopies
from services.runs.table.budgets import BudgetTable
from services.runs.table.runs import RunTable
from shared.copies.patience import read_until_there
from shared.errors import Conflict, DependencyUnavailable, IdempotencyKeyReused
from shared.ids import NEWS_TAKES, is_fresh
from shared.storage.idempotency import AlreadyDone, Once
from shared.stored import Stored
from shared.tenancy.context import TenantAccess


class Configs(Protocol):
    """The configs of agent versions, which never change."""

    def read(self, tenant_id: str, stored: Stored) -> Mapping[str, Any]:
        """The config that lies there."""
        ...


@dataclass(frozen=True, slots=True)
class NewRun:
    """What is asked for."""

    run_id: str
    agent_id: str
    version: int | None
    """None: the live one."""
    inputs: Mapping[str, Any]
    metadata: Mapping[str, Any]
    max_output_tokens: int | None
    max_cost_nano_usd: int | None
    request_id: str
    trace_id: str
    waited: bool


def submit_run(
    agents: AgentCopies,
    runs: RunTable,
    configs: Configs,
    planner: Planner,
    access: TenantAccess,
    asked: NewRun,
    *,
    now: datetime,
    once: Once | None = None,
) -> Run:
    """A new run of the agent's version, pinned now.

    Its id is another one than was asked for when it goes on with what an earlier try of the same request has reserved.
    When as many runs of the tenant execute as may, it waits in the tenant's own queue, without a reservation.

    Raises:
        AgentNotFound, VersionNotFound: there is nothing to run.
        ModelWithoutPrice: the cost is limited, and not known.
        LimitReached: the tenant has too little left for it.
        TooManyRequests: too many runs of the tenant are queued.
        DependencyUnavailable: what was made a moment ago is not known here yet, or what is left is not known.
    """
    agent, version = pin_version(agents, access.tenant_id, asked.agent_id, asked.version, now=now)
    submission = _Submission(runs, planner.budgets, access, asked, agent, version, once, now)
    try:
        planned = _plan(planner, access, asked, configs.read(access.tenant_id, version.config), now=now)
    except NoFreeSlot as full:
        return submission.store_waiting(full)
    return submission.store(planned)


@dataclass(frozen=True, slots=True)
class _Submission:
    """A run that is to be stored."""

    runs: RunTable
    budgets: BudgetTable
    access: TenantAccess
    asked: NewRun
    agent: AgentCopy
    version: VersionCopy
    once: Once | None
    now: datetime

    def store(self, planned: Planned) -> Run:
        """Store a run that has a slot and a reservation, or give them back when the request was carried out before."""
        run, events = self._new_run(planned)
        try:
            self.runs.add(run, events, once=self.once)
        except (AlreadyDone, IdempotencyKeyReused, Conflict):
            give_up_and_dispatch(self.budgets, self.runs, run.tenant_id, planned.held, now=self.now)
            raise
        return run

    def store_waiting(self, full: NoFreeSlot) -> Run:
        """Store a run that waits for a slot.

        Raises:
            TooManyRequests: as many wait as may.
        """
        enqueue(self.budgets, self.access.tenant_id, full, now=self.now)
        run, events = self._new_run(None)
        try:
            self.runs.add(run, events, once=self.once)
        except (AlreadyDone, IdempotencyKeyReused, Conflict):
            leave(self.budgets, run.tenant_id, now=self.now)
            raise
        dispatch_behind(self.budgets, self.runs, run.tenant_id, full, now=self.now)
        return run

    def _new_run(self, planned: Planned | None) -> Change:
        asked = self.asked
        return lifecycle.submit(
            self.access.tenant_id,
            run_id=planned.id.run_id if planned else asked.run_id,
            agent_id=asked.agent_id,
            version=self.version.version,
            project_id=self.agent.project_id,
            config=self.version.config,
            first_call=planned.call if planned else None,
            inputs=asked.inputs,
            metadata=asked.metadata,
            max_output_tokens=asked.max_output_tokens,
            max_cost_nano_usd=asked.max_cost_nano_usd,
            request_id=asked.request_id,
            plan=self.access.plan,
            trace_id=asked.trace_id,
            waited=asked.waited,
            now=self.now,
        )


def _plan(
    planner: Planner, access: TenantAccess, asked: NewRun, config: Mapping[str, Any], *, now: datetime
) -> Planned:
    request = compose(config, asked.inputs, max_output_tokens=asked.max_output_tokens)
    if asked.max_cost_nano_usd is not None:
        for model in config.get("fallbacks", ()):
            planner.check_priced(falling_back(request, model), now=now)
    return planner.plan(
        access,
        CallId(asked.run_id, attempt=1, number=1),
        request,
        left_nano_usd=asked.max_cost_nano_usd,
        now=now,
        from_client=True,
    )


def pin_version(
    agents: AgentCopies, tenant_id: str, agent_id: str, version: int | None, *, now: datetime
) -> tuple[AgentCopy, VersionCopy]:
    """The agent and the version to run, waiting for what was made a moment ago.

    Raises:
        AgentNotFound, VersionNotFound: an unknown one, at once unless it may be on its way.
        DependencyUnavailable: it may be on its way but has not arrived in 5 s.
    """

    def read_agent() -> AgentCopy | None:
        return agents.find_agent(tenant_id, agent_id)

    agent = read_agent()
    if agent is None and is_fresh(agent_id, now=now):
        agent = read_until_there(read_agent)
    if agent is None or agent.deleted:
        raise AgentNotFound
    wanted = version or agent.live_version

    def read_version() -> VersionCopy | None:
        return agents.find_version(tenant_id, agent_id, wanted)

    found = read_version()
    if found is None and may_be_coming(agent, wanted, now=now):
        found = _await_version(read_version, agent, now=now)
    if found is None:
        raise VersionNotFound
    return agent, found


def _await_version(
    read_version: Callable[[], VersionCopy | None], agent: AgentCopy, *, now: datetime
) -> VersionCopy | None:
    """A version that may be on its way; of an agent that nothing was heard of lately, it then does not exist."""
    try:
        return read_until_there(read_version)
    except DependencyUnavailable:
        if is_fresh(agent.agent_id, now=now) or now - agent.heard_at < NEWS_TAKES:
            raise
        return None
