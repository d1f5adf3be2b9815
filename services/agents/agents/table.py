"""Storage of agents and their versions.

A config is stored in the bucket, and written before the transaction that refers to it:
`tenants/<t>/agents/<agt_…>/versions/<n>-<digest>.json`. The key contains a hash of the content. If two requests publish
version n at the same time, both write their object first, and the loser must not overwrite the winner's object.
"""

from collections.abc import Iterator, Mapping

from services.agents.agents.domain import Agent, AgentChange, Version
from services.agents.errors import AgentChangedMeanwhile, AgentNotFound, VersionNotFound
from services.agents.partitions import SLICE, VERSIONS_LIST
from services.agents.projects.table import ProjectCopies
from shared.events.agents import AgentDeleted
from shared.events.envelope import Event
from shared.storage.codec import Codec
from shared.storage.idempotency import IdempotencyKey
from shared.storage.items import Value
from shared.storage.store import Store
from shared.storage.table import TenantTable
from shared.storage.transaction import Transaction

_VERSION_NUMBERS = range(1, 10_000_000)
"""The version numbers that fit into a sort key."""


class VersionTable(TenantTable[Version]):
    """The versions of one agent. They remain when the agent is deleted."""

    prefix, id_field = "VERSION#", "version"
    codec = Codec(Version, flat={"config": "config_"})
    not_found = VersionNotFound

    def __init__(self, store: Store, tenant_id: str, agent_id: str) -> None:
        super().__init__(store, tenant_id, "AGENT", agent_id)
        self._agent_id = agent_id

    def id_of(self, record: Version) -> str:
        """Return the number with leading zeros, so that versions sort by number."""
        return _padded(record.version)

    def indexed(self, record: Version) -> Mapping[str, Value]:
        """Return the place in the list of all versions: no other list has those of deleted agents."""
        list_pk = SLICE.key(self.tenant_id, VERSIONS_LIST)
        return {"list_pk": list_pk, "list_sk": f"{self._agent_id}#{record.version}"}

    def get_number(self, number: int) -> Version:
        """Return a version, even if its agent was deleted.

        Raises:
            VersionNotFound: the version was never published.
        """
        if number not in _VERSION_NUMBERS:
            raise VersionNotFound
        return self.get(_padded(number))


class AgentTable(TenantTable[Agent]):
    """The agents of a tenant."""

    prefix, id_field = "AGENT#", "agent_id"
    codec = Codec(Agent, flat={"live_config": "config_"})
    not_found, changed = AgentNotFound, AgentChangedMeanwhile

    def of_project(self, project_id: str) -> Iterator[Agent]:
        """Yield the agents that are in a project now.

        The partition of all agents is read, because an index could miss an agent that has just joined.
        """
        return (agent for agent in self.all() if agent.project_id == project_id)

    def create(self, change: AgentChange, *, idempotency_key: IdempotencyKey | None) -> None:
        """Write a new agent with its first version.

        Raises:
            UnknownProject: its project was deleted in the meantime.
            AlreadyDone: the request was carried out before.
        """
        transaction = self.transaction()
        if idempotency_key:
            idempotency_key.remember(transaction, SLICE, resource_id=change.agent.agent_id)
        self.add(transaction, change.agent)
        self._complete(transaction, change)

    def save(self, change: AgentChange, *, idempotency_key: IdempotencyKey | None = None) -> None:
        """Replace the preceding revision of an agent, and write the version that the change publishes.

        Raises:
            AgentChangedMeanwhile: another request changed the agent.
            AgentNotFound: the agent was deleted.
            UnknownProject: its new project was deleted in the meantime.
            AlreadyDone: the request was carried out before.
        """
        transaction = self.transaction()
        if idempotency_key and change.published:
            resource_id = f"{change.agent.agent_id}:{change.published.version}"
            idempotency_key.remember(transaction, SLICE, resource_id=resource_id)
        self.replace(transaction, change.agent)
        self._complete(transaction, change)

    def remove(self, agent: Agent, deleted: Event[AgentDeleted]) -> None:
        """Delete an agent and keep its versions.

        Raises:
            AgentChangedMeanwhile: another request changed the agent.
            AgentNotFound: the agent was deleted before.
        """
        transaction = self.transaction()
        self.delete(transaction, agent)
        transaction.emit(deleted)
        self.store.commit(transaction)

    def _complete(self, transaction: Transaction, change: AgentChange) -> None:
        """Add the new version, the check of the project and the events to the transaction, and apply it."""
        if change.published:
            VersionTable(self.store, self.tenant_id, change.agent.agent_id).add(transaction, change.published)
        if change.joins_project:
            ProjectCopies(self.store, self.tenant_id).require(transaction, change.joins_project)
        transaction.emit(*change.events)
        self.store.commit(transaction)


def _padded(version: int) -> str:
    return f"{version:07d}"
