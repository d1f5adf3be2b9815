"""HTTP in: agents, their versions and the live alias, and the tenant's own keys of providers."""

from typing import Annotated, Literal, Self

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import BaseModel, ConfigDict, Field

from services.agents import domain, operations, table, wiring
from services.agents.domain import AgentConfig, BaseUrl, Document
from shared.freejson import FreeText
from shared.http.answers import Answer, ListAnswer, created, no_content, ok
from shared.http.app import HttpApp
from shared.http.call import Caller, CurrentCall
from shared.http.pagination import PageQuery, page_after, place_of
from shared.ids import new_id, pattern
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Feature, Role
from shared.times import Rfc3339

app = HttpApp(access=wiring.access, store=wiring.tenant_store)

_AGENTS = "/v1/tenants/{tenant_id}/agents"
_AGENT = f"{_AGENTS}/{{agent_id}}"
_VERSIONS = f"{_AGENT}/versions"
_VERSION = f"{_VERSIONS}/{{version}}"
_ALIAS = f"{_AGENT}/alias"
_PROVIDER_KEY = "/v1/tenants/{tenant_id}/provider-keys/{provider}"

Name = Annotated[FreeText, Field(min_length=1, max_length=200)]
DescriptionText = Annotated[FreeText, Field(max_length=2_000)]
ApiKey = Annotated[
    str, Field(pattern=r"^[!-~]{1,1000}$", repr=False, json_schema_extra={"format": "password", "writeOnly": True})
]
"""What can stand in a header, and nothing that could begin another one."""
ProjectId = Annotated[str, Field(pattern=pattern("prj"))]


class AgentRow(BaseModel):
    """An agent in a list."""

    agent_id: str
    name: str
    description: str | None
    type: str
    project_id: str | None
    version: int
    """The live one."""
    latest_version: int
    created_at: Rfc3339
    updated_at: Rfc3339

    @classmethod
    def of(cls, agent: domain.Agent) -> Self:
        """As it is shown, without its config."""
        return cls(
            agent_id=agent.agent_id,
            name=agent.name,
            description=agent.description,
            type=agent.type,
            project_id=agent.project_id,
            version=agent.live_version,
            latest_version=agent.latest_version,
            created_at=agent.created_at,
            updated_at=agent.updated_at,
        )


class Agent(AgentRow):
    """An agent with its live config."""

    config: Document


class VersionRow(BaseModel):
    """A version in a list."""

    version: int
    live: bool
    created_at: Rfc3339


class Version(VersionRow):
    """A version with its config; neither changes any more."""

    config: Document


class NewAgent(BaseModel):
    """What to create."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name
    description: DescriptionText | None = None
    type: Literal["conversational"]
    project_id: ProjectId | None = None
    config: AgentConfig


class AgentPatch(BaseModel):
    """What to change; what is absent stays (RFC 7396), but for the config, which is replaced whole and goes live."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name = ""
    description: DescriptionText | None = None
    project_id: ProjectId | None = None
    config: AgentConfig = Field(default_factory=AgentConfig.model_construct)


class NewVersion(BaseModel):
    """What to publish."""

    model_config = ConfigDict(extra="forbid", strict=True)

    config: AgentConfig
    live: bool = False
    """Whether new runs use it from now on."""


class Alias(BaseModel):
    """Which version is to be live."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Annotated[int, Field(ge=1)]


class NewProviderKey(BaseModel):
    """The tenant's own key, and the server that it is for; it is never shown again, so both are replaced together."""

    model_config = ConfigDict(extra="forbid", strict=True)

    api_key: ApiKey
    base_url: BaseUrl | None = None
    """The one server that it is sent to; None: the provider's own."""


class ProviderKey(BaseModel):
    """That there is a key, and for which server."""

    provider: str
    base_url: str | None


class ProviderKeyAnswer(Answer):
    """One key, without the key."""

    provider_key: ProviderKey


class AgentAnswer(Answer):
    """One agent."""

    agent: Agent


class AgentsAnswer(ListAnswer):
    """A page of agents, newest first."""

    agents: list[AgentRow]


class VersionAnswer(Answer):
    """One version."""

    version: Version


class VersionsAnswer(ListAnswer):
    """A page of versions, newest first."""

    versions: list[VersionRow]


@app.route("GET", _AGENTS, least=Role.OBSERVER)
def list_agents(caller: Caller, query: Annotated[PageQuery, Query()]) -> Response[AgentsAnswer]:
    """Agents, newest first, without their configs."""
    after = place_of(query.token, caller.tenant_id, "agents", form=pattern("agt"))
    agents, place = table.list_agents(wiring.tenant_store(), caller.tenant_id, limit=query.limit, after=after)
    return ok(
        AgentsAnswer(
            agents=[AgentRow.of(agent) for agent in agents],
            pagination=page_after(place, caller.tenant_id, "agents"),
        )
    )


def _show_created(caller: TenantContext, agent_id: str) -> Response[AgentAnswer]:
    return _created(caller, table.get_agent(wiring.tenant_store(), caller.tenant_id, agent_id))


@app.route("POST", _AGENTS, least=Role.DEVELOPER, feature=Feature.AGENTS, replay=_show_created)
def create_agent(caller: Caller, call: CurrentCall, body: Annotated[NewAgent, Body()]) -> Response[AgentAnswer]:
    """Create an agent; its config is version 1, and live."""
    agent = operations.create_agent(
        wiring.tenant_store(),
        wiring.documents(),
        caller.tenant_id,
        agent_id=new_id("agt", call.now),
        described=domain.Description(body.name, body.description, body.project_id),
        agent_type=body.type,
        config=body.config,
        now=call.now,
        once=call.once,
        addresses=wiring.addresses(),
    )
    return _created(caller, agent)


@app.route("GET", _AGENT, least=Role.OBSERVER)
def get_agent(caller: Caller, agent_id: str) -> Response[AgentAnswer]:
    """One agent with its live config."""
    return _shown(caller, table.get_agent(wiring.tenant_store(), caller.tenant_id, agent_id))


@app.route("PATCH", _AGENT, least=Role.DEVELOPER, feature=Feature.AGENTS)
@app.route("PUT", _AGENT, least=Role.DEVELOPER, feature=Feature.AGENTS)
def change_agent(
    caller: Caller, call: CurrentCall, agent_id: str, body: Annotated[AgentPatch, Body()]
) -> Response[AgentAnswer]:
    """Change an agent's name, description or project; a config is published and goes live."""
    given = body.model_fields_set
    patch = operations.AgentPatch(
        name=body.name or None,
        description=body.description,
        clears_description="description" in given and body.description is None,
        project_id=body.project_id,
        clears_project="project_id" in given and body.project_id is None,
        config=body.config if "config" in given else None,
    )
    agent = operations.change_agent(
        wiring.tenant_store(),
        wiring.documents(),
        caller.tenant_id,
        agent_id,
        patch,
        now=call.now,
        if_match=call.if_match,
        addresses=wiring.addresses(),
    )
    return _shown(caller, agent)


@app.route("DELETE", _AGENT, least=Role.DEVELOPER, feature=Feature.AGENTS)
def delete_agent(caller: Caller, call: CurrentCall, agent_id: str) -> Response[None]:
    """Delete an agent; the runs that were made with it stay."""
    operations.delete_agent(wiring.tenant_store(), caller.tenant_id, agent_id, now=call.now, if_match=call.if_match)
    return no_content()


@app.route("GET", _VERSIONS, least=Role.OBSERVER)
def list_versions(caller: Caller, agent_id: str, query: Annotated[PageQuery, Query()]) -> Response[VersionsAnswer]:
    """Versions of an agent, newest first, without their configs."""
    scope = (caller.tenant_id, "versions", agent_id)
    agent = table.get_agent(wiring.tenant_store(), caller.tenant_id, agent_id)
    after = place_of(query.token, *scope, form="[0-9]{7}")
    versions, place = table.list_versions(
        wiring.tenant_store(), caller.tenant_id, agent_id, limit=query.limit, after=after
    )
    rows = [
        VersionRow(version=one.version, live=one.version == agent.live_version, created_at=one.created_at)
        for one in versions
    ]
    return ok(VersionsAnswer(versions=rows, pagination=page_after(place, *scope)))


def _show_published(caller: TenantContext, subject: str) -> Response[VersionAnswer]:
    agent_id, _, version = subject.partition(":")
    store = wiring.tenant_store()
    agent = table.get_agent(store, caller.tenant_id, agent_id)
    return _published(caller, agent, table.get_version(store, caller.tenant_id, agent_id, int(version)))


@app.route("POST", _VERSIONS, least=Role.DEVELOPER, feature=Feature.AGENTS, replay=_show_published)
def publish_version(
    caller: Caller, call: CurrentCall, agent_id: str, body: Annotated[NewVersion, Body()]
) -> Response[VersionAnswer]:
    """Publish one more version of an agent."""
    agent, version = operations.publish_version(
        wiring.tenant_store(),
        wiring.documents(),
        caller.tenant_id,
        agent_id,
        config=body.config,
        live=body.live,
        now=call.now,
        once=call.once,
        addresses=wiring.addresses(),
    )
    return _published(caller, agent, version)


@app.route("GET", _VERSION, least=Role.OBSERVER)
def get_version(caller: Caller, agent_id: str, version: int) -> Response[VersionAnswer]:
    """One version with its config."""
    agent = table.get_agent(wiring.tenant_store(), caller.tenant_id, agent_id)
    found = table.get_version(wiring.tenant_store(), caller.tenant_id, agent_id, version)
    return ok(VersionAnswer(version=_version(caller, agent, found)))


@app.route("PATCH", _ALIAS, least=Role.DEVELOPER, feature=Feature.AGENTS)
@app.route("PUT", _ALIAS, least=Role.DEVELOPER, feature=Feature.AGENTS)
def move_alias(
    caller: Caller, call: CurrentCall, agent_id: str, body: Annotated[Alias, Body()]
) -> Response[AgentAnswer]:
    """Make a version live: the newest, or an older one to roll back."""
    agent = operations.move_alias(
        wiring.tenant_store(), caller.tenant_id, agent_id, body.version, now=call.now, if_match=call.if_match
    )
    return _shown(caller, agent)


@app.route("PATCH", _PROVIDER_KEY, least=Role.TENANT_ADMIN, feature=Feature.AGENTS)
@app.route("PUT", _PROVIDER_KEY, least=Role.TENANT_ADMIN, feature=Feature.AGENTS)
def put_provider_key(
    caller: Caller, provider: str, body: Annotated[NewProviderKey, Body()]
) -> Response[ProviderKeyAnswer]:
    """Keep the tenant's own key for a provider; runs use it within a minute."""
    key = domain.ProviderKey(provider, body.api_key, body.base_url)
    operations.put_provider_key(wiring.vault(), caller.tenant_id, key, addresses=wiring.addresses())
    return ok(ProviderKeyAnswer(provider_key=ProviderKey(provider=key.provider, base_url=key.base_url)))


@app.route("DELETE", _PROVIDER_KEY, least=Role.TENANT_ADMIN, feature=Feature.AGENTS)
def remove_provider_key(caller: Caller, provider: str) -> Response[None]:
    """Take the tenant's own key out of use; runs stop using it within a minute."""
    operations.remove_provider_key(wiring.vault(), caller.tenant_id, provider)
    return no_content()


def _shown(caller: TenantContext, agent: domain.Agent) -> Response[AgentAnswer]:
    return ok(AgentAnswer(agent=_agent(caller, agent)), etag=agent.seq)


def _created(caller: TenantContext, agent: domain.Agent) -> Response[AgentAnswer]:
    location = _AGENT.format(tenant_id=caller.tenant_id, agent_id=agent.agent_id)
    return created(AgentAnswer(agent=_agent(caller, agent)), location=location, etag=agent.seq)


def _published(caller: TenantContext, agent: domain.Agent, version: domain.Version) -> Response[VersionAnswer]:
    location = _VERSION.format(tenant_id=caller.tenant_id, agent_id=agent.agent_id, version=version.version)
    return created(VersionAnswer(version=_version(caller, agent, version)), location=location)


def _agent(caller: TenantContext, agent: domain.Agent) -> Agent:
    config = operations.read_config(wiring.documents(), caller.tenant_id, agent.live_config)
    return Agent(**AgentRow.of(agent).model_dump(), config=config)


def _version(caller: TenantContext, agent: domain.Agent, version: domain.Version) -> Version:
    return Version(
        version=version.version,
        live=version.version == agent.live_version,
        created_at=version.created_at,
        config=operations.read_config(wiring.documents(), caller.tenant_id, version.config),
    )


handler = app
