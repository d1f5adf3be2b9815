"""The agents slice.

TENANT#<t>#AGENTS                      AGENT#<agt_…>          an agent, with the reference to its live config
TENANT#<t>#AGENTS                      COPY#TENANT            the tenant as it was heard of (shared.copies)
TENANT#<t>#AGENTS                      COPY#PROJECT#<prj_…>   a project as it was heard of; a deleted one stays, marked
TENANT#<t>#AGENTS#AGENT#<agt_…>        VERSION#<7 digits>     a version; stays when its agent is deleted

Configs lie in the bucket, written before the transaction that names them:
`tenants/<t>/agents/<agt_…>/versions/<n>-<digest>.json`. The digest of the content is part of the key, because two who
publish at once both write their object before one of them gets the number n: the loser must not touch the winner's.
"""

from collections.abc import Iterator
from datetime import datetime

from services.agents.domain import Agent, Change, Version
from services.agents.errors import AgentChangedMeanwhile, AgentNotFound, UnknownProject, VersionNotFound
from shared.copies.tenant_access import write_if_newer
from shared.declaration import Slice, Table
from shared.events.agents import AgentDeleted
from shared.events.envelope import Event
from shared.storage.idempotency import Once
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.listing import newest_first
from shared.storage.store import Store
from shared.storage.traces import Traces
from shared.storage.transaction import ABSENT, Expression, Transaction, refuse_with
from shared.stored import Stored
from shared.times import from_text, to_text

SLICE = Slice("AGENTS", Table.ENTITIES)
TRACES = Traces(lists=("VERSIONS",))
_NUMBERS = range(1, 10_000_000)
"""Versions that a sort key has digits for."""


def get_agent(store: Store, tenant_id: str, agent_id: str) -> Agent:
    """One agent.

    Raises:
        AgentNotFound: this tenant has none with this id.
    """
    item = store.get(_agent_key(tenant_id, agent_id))
    if item is None:
        raise AgentNotFound
    return _agent_from_item(item)


def list_agents(store: Store, tenant_id: str, *, limit: int, after: str | None) -> tuple[list[Agent], str | None]:
    """A page of agents, newest first, and the place to go on from."""
    items, place = newest_first(store, pk=SLICE.key(tenant_id), prefix="AGENT#", limit=limit, after=after)
    return [_agent_from_item(item) for item in items], place


def agents_of_project(store: Store, tenant_id: str, project_id: str) -> Iterator[Agent]:
    """All agents in a project, as they are now.

    Read from the partition of all agents, because an index could miss one that has just joined.
    """
    condition = Expression("#PK = :pk AND begins_with(#SK, :prefix)", {"pk": SLICE.key(tenant_id), "prefix": "AGENT#"})
    for item in store.query_all(condition):
        if item["project_id"] == project_id:
            yield _agent_from_item(item)


def add_agent(store: Store, tenant_id: str, change: Change, *, once: Once | None) -> None:
    """Write a new agent with its first version.

    Raises:
        UnknownProject: its project was deleted meanwhile.
        AlreadyDone: this request was carried out before.
    """
    transaction = Transaction(tenant_id)
    if once:
        once.remember(transaction, SLICE, resource_id=change.agent.agent_id)
    transaction.put(_agent_to_item(tenant_id, change.agent), when=ABSENT)
    _complete(transaction, change)
    store.commit(transaction)


def save_agent(store: Store, tenant_id: str, change: Change, *, once: Once | None = None) -> None:
    """Write a changed agent over the version of it before, with what was published.

    Raises:
        AgentChangedMeanwhile: somebody else changed it.
        AgentNotFound: somebody else deleted it.
        UnknownProject: its new project was deleted meanwhile.
        AlreadyDone: this request was carried out before.
    """
    transaction = Transaction(tenant_id)
    if once and change.published:
        once.remember(transaction, SLICE, resource_id=f"{change.agent.agent_id}:{change.published.version}")
    before = _has_seq(change.agent.seq - 1)
    transaction.put(_agent_to_item(tenant_id, change.agent), when=before, otherwise=_changed_meanwhile)
    _complete(transaction, change)
    store.commit(transaction)


def remove_agent(store: Store, tenant_id: str, agent: Agent, deleted: Event[AgentDeleted]) -> None:
    """Delete an agent; its versions stay.

    Raises:
        AgentChangedMeanwhile: somebody else changed it.
        AgentNotFound: somebody else deleted it.
    """
    transaction = Transaction(tenant_id)
    transaction.delete(_agent_key(tenant_id, agent.agent_id), when=_has_seq(agent.seq), otherwise=_changed_meanwhile)
    transaction.emit(deleted)
    store.commit(transaction)


def get_version(store: Store, tenant_id: str, agent_id: str, version: int) -> Version:
    """One version, whether its agent is still there or not.

    Raises:
        VersionNotFound: it was never published.
    """
    item = store.get(_version_key(tenant_id, agent_id, version)) if version in _NUMBERS else None
    if item is None:
        raise VersionNotFound
    return _version_from_item(item)


def list_versions(
    store: Store, tenant_id: str, agent_id: str, *, limit: int, after: str | None
) -> tuple[list[Version], str | None]:
    """A page of versions, newest first, and the place to go on from."""
    pk = SLICE.key(tenant_id, "AGENT", agent_id)
    items, place = newest_first(store, pk=pk, prefix="VERSION#", limit=limit, after=after)
    return [_version_from_item(item) for item in items], place


def project_exists(store: Store, tenant_id: str, project_id: str) -> bool | None:
    """Whether the project exists: False once it is deleted, None when nothing was heard of it."""
    item = store.get(_project_key(tenant_id, project_id))
    return None if item is None else not Reader(item).flag("deleted")


def keep_project(store: Store, tenant_id: str, project_id: str, *, seq: int, deleted: bool) -> None:
    """Remember what was heard of a project, unless something newer is known."""
    key = _project_key(tenant_id, project_id)
    write_if_newer(store, tenant_id, {**key.attributes, "seq": seq, "deleted": deleted})


def _complete(transaction: Transaction, change: Change) -> None:
    """Add what belongs to the change beside the agent itself."""
    tenant_id = transaction.tenant_id
    if change.published:
        transaction.put(_version_to_item(tenant_id, change.agent.agent_id, change.published), when=ABSENT)
    if change.joins_project:
        transaction.check(
            _project_key(tenant_id, change.joins_project),
            when=Expression("#deleted = :no", {"no": False}),
            otherwise=refuse_with(UnknownProject()),
        )
    transaction.emit(*change.events)


def _has_seq(seq: int) -> Expression:
    return Expression("#seq = :seq", {"seq": seq})


def _changed_meanwhile(there: Item | None) -> Exception:
    return AgentNotFound() if there is None else AgentChangedMeanwhile()


def _agent_key(tenant_id: str, agent_id: str) -> Key:
    return Key(SLICE.key(tenant_id), f"AGENT#{agent_id}")


def _version_key(tenant_id: str, agent_id: str, version: int) -> Key:
    return Key(SLICE.key(tenant_id, "AGENT", agent_id), f"VERSION#{version:07d}")


def _project_key(tenant_id: str, project_id: str) -> Key:
    return Key(SLICE.key(tenant_id), f"COPY#PROJECT#{project_id}")


def _agent_to_item(tenant_id: str, agent: Agent) -> dict[str, Value]:
    return {
        **_agent_key(tenant_id, agent.agent_id).attributes,
        "agent_id": agent.agent_id,
        "name": agent.name,
        "description": agent.description,
        "type": agent.type,
        "project_id": agent.project_id,
        "live_version": agent.live_version,
        "config_key": agent.live_config.key,
        "config_sha256": agent.live_config.sha256,
        "latest_version": agent.latest_version,
        "seq": agent.seq,
        "created_at": to_text(agent.created_at),
        "updated_at": to_text(agent.updated_at),
    }


def _agent_from_item(item: Item) -> Agent:
    reader = Reader(item)
    return Agent(
        agent_id=reader.text("agent_id"),
        name=reader.text("name"),
        description=reader.optional_text("description"),
        type=reader.text("type"),
        project_id=reader.optional_text("project_id"),
        live_version=reader.integer("live_version"),
        live_config=_config(reader),
        latest_version=reader.integer("latest_version"),
        seq=reader.integer("seq"),
        created_at=_time(reader, "created_at"),
        updated_at=_time(reader, "updated_at"),
    )


def _version_to_item(tenant_id: str, agent_id: str, version: Version) -> dict[str, Value]:
    return {
        # Versions outlive their agent, so this list alone names them all.
        "list_pk": SLICE.key(tenant_id, "VERSIONS"),
        "list_sk": f"{agent_id}#{version.version}",
        **_version_key(tenant_id, agent_id, version.version).attributes,
        "version": version.version,
        "config_key": version.config.key,
        "config_sha256": version.config.sha256,
        "created_at": to_text(version.created_at),
    }


def _version_from_item(item: Item) -> Version:
    reader = Reader(item)
    return Version(reader.integer("version"), _config(reader), _time(reader, "created_at"))


def _config(reader: Reader) -> Stored:
    return Stored(reader.text("config_key"), reader.text("config_sha256"))


def _time(reader: Reader, name: str) -> datetime:
    return from_text(reader.text(name))
