"""What the agents service can do: load, decide, save."""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar, cast

from services.agents import domain, table
from services.agents.domain import (
    NO_ADDRESS,
    PROVIDERS_WITH_KEYS,
    PUBLIC_ADDRESSES,
    Addresses,
    Agent,
    AgentConfig,
    Change,
    Description,
    Document,
    ProviderKey,
    Version,
)
from services.agents.errors import (
    AddressNotAllowed,
    AgentChangedMeanwhile,
    AgentNotFound,
    UnknownProject,
    UnknownProvider,
    UnknownVersion,
    VersionNotFound,
)
from services.agents.gateways.vault import Vault
from shared.copies.patience import read_until_there
from shared.http.etag import check_if_match
from shared.ids import is_fresh
from shared.storage.idempotency import Once
from shared.storage.objects import Documents
from shared.storage.store import Store
from shared.stored import Stored

T = TypeVar("T")
Wait = Callable[[Callable[[], bool | None]], bool]

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class AgentPatch:
    """What to change of an agent: a merge patch, where absent means as it was."""

    name: str | None = None
    description: str | None = None
    clears_description: bool = False
    project_id: str | None = None
    clears_project: bool = False
    config: AgentConfig | None = None
    """To publish, and to make live."""


def create_agent(
    store: Store,
    documents: Documents,
    tenant_id: str,
    *,
    agent_id: str,
    described: Description,
    agent_type: str,
    config: AgentConfig,
    now: datetime,
    once: Once | None = None,
    addresses: Addresses = PUBLIC_ADDRESSES,
) -> Agent:
    """A new agent with its first version live.

    Raises:
        UnknownProject: there is no such project to put it in.
        AddressNotAllowed: its config names a server that may not be named here.
    """
    _check_address(config.base_url, addresses, field="config.base_url")
    if described.project_id:
        ensure_project(store, tenant_id, described.project_id, now=now)
    stored = _write_config(documents, tenant_id, agent_id, version=1, config=config)
    change = domain.create_agent(tenant_id, agent_id, described, agent_type=agent_type, config=stored, now=now)
    table.add_agent(store, tenant_id, change, once=once)
    return change.agent


def change_agent(
    store: Store,
    documents: Documents,
    tenant_id: str,
    agent_id: str,
    patch: AgentPatch,
    *,
    now: datetime,
    if_match: str | None,
    addresses: Addresses = PUBLIC_ADDRESSES,
) -> Agent:
    """Merge a change into an agent; a config in it becomes the live version.

    Raises:
        UnknownProject: there is no such project to put it in.
        AddressNotAllowed: the config names a server that may not be named here.
    """
    if patch.config:
        _check_address(patch.config.base_url, addresses, field="config.base_url")

    def decide(agent: Agent) -> Change:
        described = _merged(agent, patch)
        if described.project_id and described.project_id != agent.project_id:
            ensure_project(store, tenant_id, described.project_id, now=now)
        if patch.config is None:
            return domain.describe_agent(tenant_id, agent, described, now=now)
        stored = _write_config(documents, tenant_id, agent_id, version=agent.latest_version + 1, config=patch.config)
        return domain.publish_version(tenant_id, agent, described, config=stored, live=True, now=now)

    return _change(store, tenant_id, agent_id, decide, if_match=if_match).agent


def publish_version(
    store: Store,
    documents: Documents,
    tenant_id: str,
    agent_id: str,
    *,
    config: AgentConfig,
    live: bool,
    now: datetime,
    once: Once | None = None,
    addresses: Addresses = PUBLIC_ADDRESSES,
) -> tuple[Agent, Version]:
    """One more version of an agent; gives the agent after it, and the version.

    Raises:
        AddressNotAllowed: its config names a server that may not be named here.
    """
    _check_address(config.base_url, addresses, field="config.base_url")

    def decide(agent: Agent) -> Change:
        stored = _write_config(documents, tenant_id, agent_id, version=agent.latest_version + 1, config=config)
        described = domain.description_of(agent)
        return domain.publish_version(tenant_id, agent, described, config=stored, live=live, now=now)

    change = _change(store, tenant_id, agent_id, decide, once=once)
    return change.agent, cast("Version", change.published)


def move_alias(
    store: Store, tenant_id: str, agent_id: str, version: int, *, now: datetime, if_match: str | None
) -> Agent:
    """Make a version live; the one that is live already stays so, and nothing is said.

    Raises:
        UnknownVersion: it was never published.
    """

    def decide(agent: Agent) -> Change:
        try:
            wanted = table.get_version(store, tenant_id, agent_id, version)
        except VersionNotFound as error:
            raise UnknownVersion from error
        if version == agent.live_version:
            return Change(agent, events=())
        return domain.move_alias(tenant_id, agent, wanted, now=now)

    return _change(store, tenant_id, agent_id, decide, if_match=if_match).agent


def delete_agent(store: Store, tenant_id: str, agent_id: str, *, now: datetime, if_match: str | None) -> None:
    """Delete an agent; its versions stay for the runs that were made with them."""

    def attempt() -> None:
        agent = table.get_agent(store, tenant_id, agent_id)
        check_if_match(if_match, agent.seq)
        table.remove_agent(store, tenant_id, agent, domain.delete_agent(tenant_id, agent, now=now))

    _until_alone(attempt)


def empty_project(store: Store, tenant_id: str, project_id: str, *, seq: int, now: datetime) -> None:
    """Take all agents out of a project that was deleted.

    First the mark, so that no agent joins any more; then agent by agent, however many there are. Each is changed once,
    because afterwards it is in no project: delivered again, this only goes on where it was cut off.
    """
    table.keep_project(store, tenant_id, project_id, seq=seq, deleted=True)
    for agent in table.agents_of_project(store, tenant_id, project_id):
        _leave_project(store, tenant_id, agent.agent_id, project_id, now=now)


def read_config(documents: Documents, tenant_id: str, config: Stored) -> Document:
    """A config as it was published."""
    return documents.read(tenant_id, config)


def put_provider_key(vault: Vault, tenant_id: str, key: ProviderKey, *, addresses: Addresses) -> None:
    """Keep a tenant's own key for a provider; it takes the place of the one before, with its server.

    Raises:
        UnknownProvider: there are no keys for it.
        AddressNotAllowed: the key is for a server that may not be named here.
    """
    _check_provider(key.provider)
    _check_address(key.base_url, addresses, field="base_url")
    vault.put(tenant_id, key)


def remove_provider_key(vault: Vault, tenant_id: str, provider: str) -> None:
    """Take a tenant's own key out of use.

    Raises:
        UnknownProvider: there are no keys for it.
        ProviderKeyNotFound: the tenant has none.
    """
    _check_provider(provider)
    vault.remove(tenant_id, provider)


def destroy_provider_keys(vault: Vault, tenant_id: str) -> None:
    """Remove all keys of a tenant that is deleted, for good; done again, it changes nothing."""
    for provider in PROVIDERS_WITH_KEYS:
        vault.destroy(tenant_id, provider)


def ensure_project(
    store: Store, tenant_id: str, project_id: str, *, now: datetime, wait: Wait = read_until_there
) -> None:
    """Let an agent into a project that exists; one made a moment ago is waited for.

    Raises:
        UnknownProject: there is none, or none any more.
        DependencyUnavailable: it may have been made a moment ago, and nothing was heard of it yet.
    """

    def exists() -> bool | None:
        return table.project_exists(store, tenant_id, project_id)

    known = exists()
    if known is None and is_fresh(project_id, now=now):
        known = wait(exists)
    if not known:
        raise UnknownProject


def _check_provider(provider: str) -> None:
    if provider not in PROVIDERS_WITH_KEYS:
        raise UnknownProvider


def _check_address(base_url: str | None, addresses: Addresses, *, field: str) -> None:
    if not addresses.allow(base_url):
        raise AddressNotAllowed(field, NO_ADDRESS)


def _change(
    store: Store,
    tenant_id: str,
    agent_id: str,
    decide: Callable[[Agent], Change],
    *,
    if_match: str | None = None,
    once: Once | None = None,
) -> Change:
    """Load, decide, save; and again when somebody else was faster, unless the caller named what it had read."""

    def attempt() -> Change:
        agent = table.get_agent(store, tenant_id, agent_id)
        check_if_match(if_match, agent.seq)
        change = decide(agent)
        if change.agent.seq > agent.seq:
            table.save_agent(store, tenant_id, change, once=once)
        return change

    return _until_alone(attempt)


def _leave_project(store: Store, tenant_id: str, agent_id: str, project_id: str, *, now: datetime) -> None:
    def decide(agent: Agent) -> Change:
        if agent.project_id != project_id:
            return Change(agent, events=())
        return domain.leave_project(tenant_id, agent, now=now)

    # An agent that was deleted meanwhile has left the project as well.
    with suppress(AgentNotFound):
        _change(store, tenant_id, agent_id, decide)


def _until_alone(attempt: Callable[[], T]) -> T:
    """What the attempt gives, the first time that nobody else changed the agent under it."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return attempt()
        except AgentChangedMeanwhile:
            continue
    return attempt()


def _merged(agent: Agent, patch: AgentPatch) -> Description:
    return Description(
        name=patch.name or agent.name,
        description=None if patch.clears_description else patch.description or agent.description,
        project_id=None if patch.clears_project else patch.project_id or agent.project_id,
    )


def _write_config(documents: Documents, tenant_id: str, agent_id: str, *, version: int, config: AgentConfig) -> Stored:
    """Store a config where no other version's can lie, even if the number goes to somebody else."""
    document = config.to_document()
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
    return documents.write(tenant_id, f"agents/{agent_id}/versions/{version}-{digest}.json", document)
