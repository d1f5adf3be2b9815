"""Pinning of a run to a version of its agent."""

from collections.abc import Callable
from datetime import datetime

from services.runs.agents.domain import AgentCopy, VersionCopy, may_be_in_transit
from services.runs.agents.table import AgentCopies
from services.runs.errors import RequestedAgentNotFound, RequestedVersionNotFound
from shared.copies.retry import read_until_present
from shared.errors import DependencyUnavailable
from shared.ids import EVENT_DELIVERY_WINDOW, is_fresh


def pin_version(
    agents: AgentCopies, tenant_id: str, agent_id: str, version: int | None, *, now: datetime
) -> tuple[AgentCopy, VersionCopy]:
    """Return the agent and the version to run, waiting for those that were created a moment ago.

    Raises:
        RequestedAgentNotFound, RequestedVersionNotFound: it is unknown; raised at once unless its event may be on
            its way.
        DependencyUnavailable: its event may be under way but has not arrived within 5 s.
    """

    def read_agent() -> AgentCopy | None:
        return agents.find_agent(tenant_id, agent_id)

    agent = read_agent()
    if agent is None and is_fresh(agent_id, now=now):
        agent = read_until_present(read_agent)
    if agent is None or agent.deleted:
        raise RequestedAgentNotFound
    number = version or agent.live_version

    def read_version() -> VersionCopy | None:
        return agents.find_version(tenant_id, agent_id, number)

    copy = read_version()
    if copy is None and may_be_in_transit(agent, number, now=now):
        copy = _await_version(read_version, agent, now=now)
    if copy is None:
        raise RequestedVersionNotFound
    return agent, copy


def _await_version(
    read_version: Callable[[], VersionCopy | None], agent: AgentCopy, *, now: datetime
) -> VersionCopy | None:
    """Wait for a version whose event may be under way; return None if the agent has no recent event."""
    try:
        return read_until_present(read_version)
    except DependencyUnavailable:
        if is_fresh(agent.agent_id, now=now) or now - agent.received_at < EVENT_DELIVERY_WINDOW:
            raise
        return None
