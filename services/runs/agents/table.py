"""The copies of agents and their versions."""

from functools import lru_cache

from services.runs.agents.domain import AgentCopy, VersionCopy
from services.runs.partitions import SLICE
from services.runs.prompts.table import PromptCopies
from shared.copies.table import write_if_newer
from shared.document_ref import DocumentRef
from shared.storage.items import Key, Reader
from shared.storage.store import Store
from shared.times import from_text, to_text

_CACHED_VERSIONS = 1_024
"""The number of versions that a container caches."""


class AgentCopies:
    """Reader of the copies of one slice. Versions are immutable, so each is read once per container."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.prompts = PromptCopies(store)
        self._version = lru_cache(maxsize=_CACHED_VERSIONS)(self._read_version)

    def find_agent(self, tenant_id: str, agent_id: str) -> AgentCopy | None:
        """Return the copy of an agent, or None if no event of it was received."""
        item = self._store.get(agent_key(tenant_id, agent_id))
        if item is None:
            return None
        reader = Reader(item)
        return AgentCopy(
            agent_id=agent_id,
            seq=reader.integer("seq"),
            project_id=reader.optional_text("project_id"),
            live_version=reader.integer("live_version"),
            latest_version=reader.integer("latest_version"),
            deleted=reader.flag("deleted"),
            received_at=from_text(reader.text("heard_at")),
        )

    def find_version(self, tenant_id: str, agent_id: str, version: int) -> VersionCopy | None:
        """Return the copy of a version, or None if its event was not received."""
        try:
            return self._version(tenant_id, agent_id, version)
        except _NoCopy:
            return None

    def _read_version(self, tenant_id: str, agent_id: str, version: int) -> VersionCopy:
        item = self._store.get(_version_key(tenant_id, agent_id, version))
        if item is None:
            raise _NoCopy
        reader = Reader(item)
        return VersionCopy(agent_id, version, DocumentRef(reader.text("config_key"), reader.text("config_sha256")))


class _NoCopy(Exception):
    """No copy of a version exists yet. It is an exception so that the cache does not store it."""


def put_agent(store: Store, tenant_id: str, copy: AgentCopy) -> None:
    """Store the copy of an agent, unless a newer one is stored."""
    write_if_newer(
        store,
        tenant_id,
        {
            **agent_key(tenant_id, copy.agent_id).attributes,
            "seq": copy.seq,
            "project_id": copy.project_id,
            "live_version": copy.live_version,
            "latest_version": copy.latest_version,
            "deleted": copy.deleted,
            "heard_at": to_text(copy.received_at),
        },
    )


def put_version(store: Store, tenant_id: str, copy: VersionCopy) -> None:
    """Store the copy of a version, once."""
    write_if_newer(
        store,
        tenant_id,
        {
            **_version_key(tenant_id, copy.agent_id, copy.version).attributes,
            "seq": 1,
            "config_key": copy.config.key,
            "config_sha256": copy.config.sha256,
        },
    )


def agent_key(tenant_id: str, agent_id: str) -> Key:
    """Return the key of an agent's copy."""
    return Key(SLICE.key(tenant_id), f"COPY#AGENT#{agent_id}")


def _version_key(tenant_id: str, agent_id: str, version: int) -> Key:
    return Key(SLICE.key(tenant_id), f"COPY#VERSION#{agent_id}#{version:07d}")
