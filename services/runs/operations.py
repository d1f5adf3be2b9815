"""What the runs service can do: load, decide, save."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from services.runs.domain import lifecycle
from services.runs.domain.agent import AgentCopy, VersionCopy, may_be_coming
from services.runs.domain.request import ModelRequest, compose, plan
from services.runs.domain.run import ModelAnswer, Run, RunError
from services.runs.errors import AgentNotFound, LeaseLost, ProviderFailed, StreamTruncated, VersionNotFound
from services.runs.gateways.model import Ended, Model
from services.runs.table import agents
from services.runs.table.runs import RunTable
from shared.copies.patience import read_until_there
from shared.errors import DependencyUnavailable
from shared.ids import NEWS_TAKES, is_fresh
from shared.observability import logger
from shared.storage.idempotency import Once
from shared.storage.store import Store
from shared.stored import Stored

HEARTBEAT = timedelta(seconds=5)
"""How often a worker extends its lease while the answer streams."""


class Configs(Protocol):
    """The configs of agent versions, which never change."""

    def read(self, tenant_id: str, stored: Stored) -> Mapping[str, Any]:
        """The config that lies there."""
        ...


class Models(Protocol):
    """The providers."""

    def of(self, provider: str) -> Model:
        """The provider of this name.

        Raises:
            ProviderFailed: it is not configured.
        """
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
    request_id: str
    waited: bool


def submit_run(
    store: Store,
    runs: RunTable,
    configs: Configs,
    tenant_id: str,
    asked: NewRun,
    *,
    simulate_without_key: bool,
    now: datetime,
    once: Once | None = None,
) -> Run:
    """A new run of the agent's version, pinned now.

    Raises:
        AgentNotFound, VersionNotFound: there is nothing to run.
        DependencyUnavailable: what was made a moment ago is not known here yet.
    """
    agent, version = pin_version(store, tenant_id, asked.agent_id, asked.version, now=now)
    config = configs.read(tenant_id, version.config)
    request = compose(config, asked.inputs, max_output_tokens=asked.max_output_tokens)
    run, events = lifecycle.submit(
        tenant_id,
        run_id=asked.run_id,
        agent_id=asked.agent_id,
        version=version.version,
        project_id=agent.project_id,
        config=version.config,
        first_call=plan(config, request, simulate=simulate_without_key),
        inputs=asked.inputs,
        metadata=asked.metadata,
        request_id=asked.request_id,
        waited=asked.waited,
        now=now,
    )
    runs.add(run, events, once=once)
    return run


def pin_version(
    store: Store, tenant_id: str, agent_id: str, version: int | None, *, now: datetime
) -> tuple[AgentCopy, VersionCopy]:
    """The agent and the version to run, waiting for what was made a moment ago.

    Raises:
        AgentNotFound, VersionNotFound: an unknown one, at once unless it may be on its way.
        DependencyUnavailable: it may be on its way but has not arrived in 5 s.
    """

    def read_agent() -> AgentCopy | None:
        return agents.find_agent(store, tenant_id, agent_id)

    agent = read_agent()
    if agent is None and is_fresh(agent_id, now=now):
        agent = read_until_there(read_agent)
    if agent is None or agent.deleted:
        raise AgentNotFound
    wanted = version or agent.live_version

    def read_version() -> VersionCopy | None:
        return agents.find_version(store, tenant_id, agent_id, wanted)

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


def execute_run(
    runs: RunTable,
    configs: Configs,
    models: Models,
    tenant_id: str,
    run_id: str,
    *,
    clock: Callable[[], datetime],
) -> None:
    """Take a queued run and bring it to its end; does nothing for one that is leased or final.

    Args:
        runs: the table.
        configs: of agent versions.
        models: the providers.
        tenant_id: whose run.
        run_id: which.
        clock: read again and again, since an execution takes its time.
    """
    run = runs.take(tenant_id, run_id, now=clock())
    if run is None:
        return
    config = configs.read(tenant_id, run.config)
    request = compose(config, run.inputs, max_output_tokens=run.first_call.max_output_tokens)
    try:
        answer = _call_model(runs, models.of(run.first_call.provider), run, request, clock=clock)
        after, events = lifecycle.finish(run, answer, now=clock())
    except ProviderFailed as error:
        after, events = lifecycle.fail(run, RunError(error.code, str(error)), now=clock())
    except LeaseLost:
        logger.warning("lease lost while the model answered", run_id=run_id, attempt=run.attempt)
        return
    try:
        runs.save(run, after, events)
    except LeaseLost:
        logger.warning("lease lost before the end was written", run_id=run_id, attempt=run.attempt)


def _call_model(
    runs: RunTable, model: Model, run: Run, request: ModelRequest, *, clock: Callable[[], datetime]
) -> ModelAnswer:
    """Send the call and read its stream to the terminal event, keeping the lease meanwhile."""
    pieces: list[str] = []
    extended_at = clock()
    for part in model.stream(request):
        if isinstance(part, Ended):
            return ModelAnswer("".join(pieces), part.meters)
        pieces.append(part.text)
        if clock() - extended_at >= HEARTBEAT:
            extended_at = clock()
            runs.extend(run, now=extended_at)
    raise StreamTruncated


def reap(runs: RunTable, *, now: datetime) -> int:
    """Give every run that is due back to the queue, or end it; says how many."""
    reaped = 0
    for run in runs.due(now=now):
        after, events = lifecycle.give_back(run, now=now)
        try:
            runs.save(run, after, events, only_if_still_due=True)
        except LeaseLost:
            continue  # It moved on in this moment, which is what the reaper wants.
        reaped += 1
    return reaped
