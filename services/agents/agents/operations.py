"""Operations on agents: each one loads, decides and saves."""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from services.agents.agents import domain
from services.agents.agents.domain import (
    Agent,
    AgentChange,
    AgentConfig,
    AgentDetails,
    Document,
    Version,
)
from services.agents.agents.table import AgentTable, VersionTable
from services.agents.base_urls.domain import HTTPS_ONLY, BaseUrlPolicy
from services.agents.errors import (
    AgentNotFound,
    UnknownVersion,
    VersionNotFound,
)
from services.agents.models.domain import check_models
from services.agents.projects.operations import ensure_project
from services.agents.projects.table import ProjectCopies, ProjectCopy
from services.agents.prompts.domain import PromptReference
from services.agents.prompts.operations import find_version
from shared.document_ref import DocumentRef
from shared.preconditions import check_if_match
from shared.storage.idempotency import IdempotencyKey
from shared.storage.objects import Documents
from shared.storage.retry import retry_on_conflict
from shared.storage.store import Store

BeforeLive = Callable[[Document], None]
"""Checks a config that is to go live, and raises if it may not."""


def allow_all(_config: Document) -> None:
    """Allow each config to go live."""


@dataclass(frozen=True, slots=True)
class AgentUpdate:
    """A merge patch of an agent. None leaves a field unchanged."""

    name: str | None = None
    description: str | None = None
    clears_description: bool = False
    project_id: str | None = None
    clears_project: bool = False
    config: AgentConfig | None = None
    """The config to publish and make live."""


def create_agent(
    store: Store,
    documents: Documents,
    tenant_id: str,
    *,
    agent_id: str,
    details: AgentDetails,
    agent_type: str,
    config: AgentConfig,
    now: datetime,
    idempotency_key: IdempotencyKey | None = None,
    base_urls: BaseUrlPolicy = HTTPS_ONLY,
    before_live: BeforeLive = allow_all,
) -> Agent:
    """Create an agent with a live first version.

    Raises:
        UnknownProject: the project does not exist.
        BaseUrlNotAllowed: the config names a server that is not allowed in this environment.
        ModelNotAllowed: the config names a model that no provider is known for.
        UnknownPrompt, UnknownPromptVersion, UnknownVariables: the config names a prompt that does not fit.
    """
    _check_config(store, tenant_id, config, base_urls)
    if details.project_id:
        ensure_project(store, tenant_id, details.project_id, now=now)
    before_live(config.to_document())
    stored = _write_config(documents, tenant_id, agent_id, version=1, config=config)
    change = domain.create_agent(tenant_id, agent_id, details, agent_type=agent_type, config=stored, now=now)
    AgentTable(store, tenant_id).create(change, idempotency_key=idempotency_key)
    return change.agent


def change_agent(
    store: Store,
    documents: Documents,
    tenant_id: str,
    agent_id: str,
    patch: AgentUpdate,
    *,
    now: datetime,
    if_match: str | None,
    base_urls: BaseUrlPolicy = HTTPS_ONLY,
    before_live: BeforeLive = allow_all,
) -> Agent:
    """Merge a patch into an agent. A config in it becomes the live version.

    Raises:
        UnknownProject: the project does not exist.
        BaseUrlNotAllowed: the config names a server that is not allowed in this environment.
        ModelNotAllowed: the config names a model that no provider is known for.
        UnknownPrompt, UnknownPromptVersion, UnknownVariables: the config names a prompt that does not fit.
    """
    if patch.config:
        _check_config(store, tenant_id, patch.config, base_urls)
        before_live(patch.config.to_document())

    def decide(agent: Agent) -> AgentChange:
        details = _merge_patch(agent, patch)
        if details.project_id and details.project_id != agent.project_id:
            ensure_project(store, tenant_id, details.project_id, now=now)
        if patch.config is None:
            return domain.change_details(tenant_id, agent, details, now=now)
        stored = _write_config(documents, tenant_id, agent_id, version=agent.latest_version + 1, config=patch.config)
        return domain.publish_version(tenant_id, agent, details, config=stored, live=True, now=now)

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
    idempotency_key: IdempotencyKey | None = None,
    base_urls: BaseUrlPolicy = HTTPS_ONLY,
    before_live: BeforeLive = allow_all,
) -> tuple[Agent, Version]:
    """Publish a new version, and return the changed agent and the version.

    Raises:
        BaseUrlNotAllowed: the config names a server that is not allowed in this environment.
        ModelNotAllowed: the config names a model that no provider is known for.
        UnknownPrompt, UnknownPromptVersion, UnknownVariables: the config names a prompt that does not fit.
    """
    _check_config(store, tenant_id, config, base_urls)
    if live:
        before_live(config.to_document())

    def decide(agent: Agent) -> AgentChange:
        stored = _write_config(documents, tenant_id, agent_id, version=agent.latest_version + 1, config=config)
        details = domain.details_of(agent)
        return domain.publish_version(tenant_id, agent, details, config=stored, live=live, now=now)

    change = _change(store, tenant_id, agent_id, decide, idempotency_key=idempotency_key)
    return change.agent, cast("Version", change.published)


def move_alias(
    store: Store,
    documents: Documents,
    tenant_id: str,
    agent_id: str,
    version: int,
    *,
    now: datetime,
    if_match: str | None,
    before_live: BeforeLive = allow_all,
) -> Agent:
    """Make a version live. If it is live already, nothing changes and no event is published.

    Raises:
        UnknownVersion: the version was never published.
    """

    def decide(agent: Agent) -> AgentChange:
        try:
            published = VersionTable(store, tenant_id, agent_id).get_number(version)
        except VersionNotFound as error:
            raise UnknownVersion from error
        if version == agent.live_version:
            return AgentChange(agent, events=())
        before_live(read_config(documents, tenant_id, published.config))
        return domain.move_alias(tenant_id, agent, published, now=now)

    return _change(store, tenant_id, agent_id, decide, if_match=if_match).agent


def delete_agent(store: Store, tenant_id: str, agent_id: str, *, now: datetime, if_match: str | None) -> None:
    """Delete an agent. Its versions remain, because earlier runs refer to them."""
    agents = AgentTable(store, tenant_id)

    def attempt() -> None:
        agent = agents.get(agent_id)
        check_if_match(if_match, agent.seq)
        agents.remove(agent, domain.delete_agent(tenant_id, agent, now=now))

    retry_on_conflict(attempt)


def empty_project(store: Store, tenant_id: str, project_id: str, *, seq: int, now: datetime) -> None:
    """Take all agents out of a deleted project.

    The project is marked as deleted first, so that no agent can join it any more. The agents then leave one by one. The
    operation is idempotent: a repeated delivery continues with the agents that are still in the project.
    """
    ProjectCopies(store, tenant_id).keep(ProjectCopy(project_id, seq, deleted=True))
    for agent in AgentTable(store, tenant_id).of_project(project_id):
        _leave_project(store, tenant_id, agent.agent_id, project_id, now=now)


def read_config(documents: Documents, tenant_id: str, config: DocumentRef) -> Document:
    """Return a config as it was published."""
    return documents.read(tenant_id, config)


def _check_config(store: Store, tenant_id: str, config: AgentConfig, base_urls: BaseUrlPolicy) -> None:
    base_urls.check(config.base_url, field="config.base_url")
    if isinstance(config.system_prompt, PromptReference):
        find_version(store, tenant_id, config.system_prompt, field="config.system_prompt")
    check_models(config.model, config.fallbacks or (), provider=config.provider, base_url=config.base_url)


def _change(
    store: Store,
    tenant_id: str,
    agent_id: str,
    decide: Callable[[Agent], AgentChange],
    *,
    if_match: str | None = None,
    idempotency_key: IdempotencyKey | None = None,
) -> AgentChange:
    """Load, decide and save. Retry after a conflict, unless the caller sent `If-Match`."""
    agents = AgentTable(store, tenant_id)

    def attempt() -> AgentChange:
        agent = agents.get(agent_id)
        check_if_match(if_match, agent.seq)
        change = decide(agent)
        if change.agent.seq > agent.seq:
            agents.save(change, idempotency_key=idempotency_key)
        return change

    return retry_on_conflict(attempt)


def _leave_project(store: Store, tenant_id: str, agent_id: str, project_id: str, *, now: datetime) -> None:
    def decide(agent: Agent) -> AgentChange:
        if agent.project_id != project_id:
            return AgentChange(agent, events=())
        return domain.leave_project(tenant_id, agent, now=now)

    # A deleted agent has left the project as well.
    with suppress(AgentNotFound):
        _change(store, tenant_id, agent_id, decide)


def _merge_patch(agent: Agent, patch: AgentUpdate) -> AgentDetails:
    description = agent.description if patch.description is None else patch.description
    return AgentDetails(
        name=patch.name or agent.name,
        description=None if patch.clears_description else description,
        project_id=None if patch.clears_project else patch.project_id or agent.project_id,
    )


def _write_config(
    documents: Documents, tenant_id: str, agent_id: str, *, version: int, config: AgentConfig
) -> DocumentRef:
    """Store a config under a key that no other config can have, even if another request gets the version number."""
    document = config.to_document()
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
    return documents.write(tenant_id, f"agents/{agent_id}/versions/{version}-{digest}.json", document)
