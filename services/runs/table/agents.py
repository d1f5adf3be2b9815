"""The copies of agents and their versions."""

from services.runs.domain.agent import AgentCopy, VersionCopy
from services.runs.table import SLICE
from shared.copies.tenant_access import write_if_newer
from shared.storage.items import Key, Reader
from shared.storage.store import Store
from shared.stored import Stored
from shared.times import from_text, to_text


def find_agent(store: Store, tenant_id: str, agent_id: str) -> AgentCopy | None:
    """The agent as it is known, or None when nothing was heard of it."""
    item = store.get(_agent_key(tenant_id, agent_id))
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


def keep_agent(store: Store, tenant_id: str, copy: AgentCopy) -> None:
    """Write what was heard, unless something newer is there."""
    write_if_newer(
        store,
        tenant_id,
        {
            **_agent_key(tenant_id, copy.agent_id).attributes,
            "seq": copy.seq,
            "project_id": copy.project_id,
            "live_version": copy.live_version,
            "latest_version": copy.latest_version,
            "deleted": copy.deleted,
            "heard_at": to_text(copy.heard_at),
        },
    )


def find_version(store: Store, tenant_id: str, agent_id: str, version: int) -> VersionCopy | None:
    """The version as it is known, or None."""
    item = store.get(_version_key(tenant_id, agent_id, version))
    if item is None:
        return None
    reader = Reader(item)
    return VersionCopy(agent_id, version, Stored(reader.text("config_key"), reader.text("config_sha256")))


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


def _agent_key(tenant_id: str, agent_id: str) -> Key:
    return Key(SLICE.key(tenant_id), f"COPY#AGENT#{agent_id}")


def _version_key(tenant_id: str, agent_id: str, version: int) -> Key:
    return Key(SLICE.key(tenant_id), f"COPY#VERSION#{agent_id}#{version:07d}")
