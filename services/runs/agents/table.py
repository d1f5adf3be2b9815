"""The copies of agents and their versions."""

from functools import lru_cache

from services.runs.domain.agent import AgentCopy, VersionCopy
from services.runs.table import SLICE
from shared.copies.tenant_access import write_if_newer
from shared.storage.items import Key, Reader
from shared.storage.store import Store
from shared.stored import Stored
from shared.times import from_text, to_text

_KEPT = 1_024
"""Versions that a container remembers."""


class AgentCopies:
    """Reads the copies of one slice. What is known of a version never changes, so it is read once per container."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._version = lru_cache(maxsize=_KEPT)(self._read_version)

    def find_agent(self, tenant_id: str, agent_id: str) -> AgentCopy | None:
        """The agent as it is known, or None when nothing was heard of it."""
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
            heard_at=from_text(reader.text("heard_at")),
        )

    def find_version(self, tenant_id: str, agent_id: str, version: int) -> VersionCopy | None:
        """The version as it is known, or None."""
        try:
            return self._version(tenant_id, agent_id, version)
        except _Unheard:
            return None

    def _read_version(self, tenant_id: str, agent_id: str, version: int) -> VersionCopy:
        item = self._store.get(_version_key(tenant_id, agent_id, version))
        if item is None:
            raise _Unheard
        reader = Reader(item)
        return VersionCopy(agent_id, version, Stored(reader.text("config_key"), reader.text("config_sha256")))


class _Unheard(Exception):
    """Nothing is known of a version; that may change, and so it is not kept."""


def keep_agent(store: Store, tenant_id: str, copy: AgentCopy) -> None:
    """Write what was heard, unless something newer is there."""
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
            "heard_at": to_text(copy.heard_at),
        },
    )


def keep_version(store: Store, tenant_id: str, copy: VersionCopy) -> None:
    """Write what was heard; it never changes."""
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
    """Where the copy of an agent lies."""
    return Key(SLICE.key(tenant_id), f"COPY#AGENT#{agent_id}")


def _version_key(tenant_id: str, agent_id: str, version: int) -> Key:
    return Key(SLICE.key(tenant_id), f"COPY#VERSION#{agent_id}#{version:07d}")
