"""The copies of agents and their versions."""

from functools import lru_cache

from services.runs.agents.domain import AgentCopy, VersionCopy
from services.runs.prompts.table import PromptCopies
from shared.copies.table import CopyTable
from shared.storage.codec import Codec
from shared.storage.items import Item
from shared.storage.store import Store

_CACHED_VERSIONS = 1_024
"""The number of versions that a container caches."""


class AgentCopyTable(CopyTable[AgentCopy]):
    """The copies of one tenant's agents. That of a deleted agent remains."""

    prefix, id_field = "COPY#AGENT#", "agent_id"
    codec = Codec(AgentCopy, names={"received_at": "heard_at"}, given=("agent_id",))


class VersionCopyTable(CopyTable[VersionCopy]):
    """The copies of the versions of one tenant's agents."""

    prefix = "COPY#VERSION#"
    codec = Codec(VersionCopy, flat={"config": "config_"}, given=("agent_id", "version"), always=("seq",))

    def id_of(self, record: VersionCopy) -> str:
        """Return the agent and the number of a version."""
        return _version_id(record.agent_id, record.version)

    def find_version(self, agent_id: str, version: int) -> VersionCopy | None:
        """Return the copy of a version, or None if its event was not received."""
        return self.find(_version_id(agent_id, version))

    def _given(self, item: Item) -> dict[str, object]:
        agent_id, _, version = self.id_in(str(item["SK"])).partition("#")
        return {"agent_id": agent_id, "version": int(version)}


class AgentCopies:
    """Reader of the copies of one slice. Versions are immutable, so each is read once per container."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.prompts = PromptCopies(store)
        self._version = lru_cache(maxsize=_CACHED_VERSIONS)(self._read_version)

    def find_agent(self, tenant_id: str, agent_id: str) -> AgentCopy | None:
        """Return the copy of an agent, or None if no event of it was received."""
        return AgentCopyTable(self._store, tenant_id).find(agent_id)

    def find_version(self, tenant_id: str, agent_id: str, version: int) -> VersionCopy | None:
        """Return the copy of a version, or None if its event was not received."""
        try:
            return self._version(tenant_id, agent_id, version)
        except _NoCopy:
            return None

    def _read_version(self, tenant_id: str, agent_id: str, version: int) -> VersionCopy:
        copy = VersionCopyTable(self._store, tenant_id).find_version(agent_id, version)
        if copy is None:
            raise _NoCopy
        return copy


class _NoCopy(Exception):
    """No copy of a version exists yet. It is an exception so that the cache does not store it."""


def _version_id(agent_id: str, version: int) -> str:
    return f"{agent_id}#{version:07d}"
