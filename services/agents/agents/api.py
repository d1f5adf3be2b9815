"""HTTP API of agents, their versions and the live alias."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from services.agents import wiring
from services.agents.agents import domain, operations
from services.agents.agents.domain import AgentDetails
from services.agents.agents.schemas import (
    Agent,
    AgentPatch,
    AgentResponse,
    AgentsResponse,
    AgentSummary,
    AgentVersion,
    AgentVersionResponse,
    AgentVersionsResponse,
    AgentVersionSummary,
    LiveVersion,
    NewAgent,
    NewAgentVersion,
    PublishedConfig,
)
from services.agents.agents.table import AgentTable, VersionTable
from services.agents.diffs.domain import document_diff, text_diff
from services.agents.diffs.schemas import DiffQuery, VersionDiff, VersionDiffResponse
from services.agents.lint_rules.domain.finding import LintReport
from services.agents.lint_rules.schemas import LintSummary
from shared.http.call import Caller, CurrentCall, KnownTenant
from shared.http.pagination import PageQuery, cursor_of, page_after
from shared.http.responses import created, no_content, ok
from shared.http.router import Router
from shared.ids import new_id, pattern
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Feature, Role

router = Router()

_AGENTS = "/v1/tenants/{tenant_id}/agents"
_AGENT = f"{_AGENTS}/{{agent_id}}"
_VERSIONS = f"{_AGENT}/versions"
_VERSION = f"{_VERSIONS}/{{version}}"
_ALIAS = f"{_AGENT}/alias"


@router.route("GET", _AGENTS, min_role=Role.OBSERVER)
def list_agents(caller: Caller, query: Annotated[PageQuery, Query()]) -> Response[AgentsResponse]:
    """List agents, newest first, without their configs."""
    after = cursor_of(query.token, caller.tenant_id, "agents", form=pattern("agt"))
    agents, next_cursor = AgentTable(wiring.tenant_store(), caller.tenant_id).page(limit=query.limit, after=after)
    return ok(
        AgentsResponse(
            agents=[AgentSummary.of(agent) for agent in agents],
            pagination=page_after(next_cursor, caller.tenant_id, "agents"),
        )
    )


def _replay_created(caller: TenantContext, agent_id: str) -> Response[AgentResponse]:
    return _created_response(caller, AgentTable(wiring.tenant_store(), caller.tenant_id).get(agent_id))


@router.route("POST", _AGENTS, min_role=Role.DEVELOPER, feature=Feature.AGENTS, replay=_replay_created)
def create_agent(
    caller: Caller, access: KnownTenant, call: CurrentCall, body: Annotated[NewAgent, Body()]
) -> Response[AgentResponse]:
    """Create an agent. Its config becomes version 1 and goes live."""
    check = wiring.live_check(access, now=call.now)
    agent = operations.create_agent(
        wiring.tenant_store(),
        wiring.documents(),
        caller.tenant_id,
        agent_id=new_id("agt", call.now),
        details=AgentDetails(body.name, body.description, body.project_id),
        agent_type=body.type,
        config=body.config,
        now=call.now,
        idempotency_key=call.idempotency_key,
        base_urls=wiring.base_urls(),
        before_live=check.check_config,
    )
    return _created_response(caller, agent, check.report)


@router.route("GET", _AGENT, min_role=Role.OBSERVER)
def get_agent(caller: Caller, agent_id: str) -> Response[AgentResponse]:
    """Get an agent with its live config."""
    return _agent_response(caller, AgentTable(wiring.tenant_store(), caller.tenant_id).get(agent_id))


@router.route("PATCH", _AGENT, min_role=Role.DEVELOPER, feature=Feature.AGENTS)
@router.route("PUT", _AGENT, min_role=Role.DEVELOPER, feature=Feature.AGENTS, documented=False)
def update_agent(
    caller: Caller, access: KnownTenant, call: CurrentCall, agent_id: str, body: Annotated[AgentPatch, Body()]
) -> Response[AgentResponse]:
    """Change an agent's name, description or project. A config is published as a new version and goes live."""
    check = wiring.live_check(access, now=call.now)
    given = body.model_fields_set
    patch = operations.AgentUpdate(
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
        base_urls=wiring.base_urls(),
        before_live=check.check_config,
    )
    return _agent_response(caller, agent, check.report)


@router.route("DELETE", _AGENT, min_role=Role.DEVELOPER, feature=Feature.AGENTS)
def delete_agent(caller: Caller, call: CurrentCall, agent_id: str) -> Response[None]:
    """Delete an agent. Its runs remain."""
    operations.delete_agent(wiring.tenant_store(), caller.tenant_id, agent_id, now=call.now, if_match=call.if_match)
    return no_content()


@router.route("GET", _VERSIONS, min_role=Role.OBSERVER)
def list_agent_versions(
    caller: Caller, agent_id: str, query: Annotated[PageQuery, Query()]
) -> Response[AgentVersionsResponse]:
    """List the versions of an agent, newest first, without their configs."""
    scope = (caller.tenant_id, "versions", agent_id)
    agent = AgentTable(wiring.tenant_store(), caller.tenant_id).get(agent_id)
    after = cursor_of(query.token, *scope, form="[0-9]{7}")
    versions, next_cursor = VersionTable(wiring.tenant_store(), caller.tenant_id, agent_id).page(
        limit=query.limit, after=after
    )
    rows = [
        AgentVersionSummary(version=one.version, live=one.version == agent.live_version, created_at=one.created_at)
        for one in versions
    ]
    return ok(AgentVersionsResponse(versions=rows, pagination=page_after(next_cursor, *scope)))


def _replay_published(caller: TenantContext, subject: str) -> Response[AgentVersionResponse]:
    agent_id, _, version = subject.partition(":")
    store = wiring.tenant_store()
    agent = AgentTable(store, caller.tenant_id).get(agent_id)
    return _published_response(caller, agent, VersionTable(store, caller.tenant_id, agent_id).get_number(int(version)))


@router.route("POST", _VERSIONS, min_role=Role.DEVELOPER, feature=Feature.AGENTS, replay=_replay_published)
def publish_agent_version(
    caller: Caller, access: KnownTenant, call: CurrentCall, agent_id: str, body: Annotated[NewAgentVersion, Body()]
) -> Response[AgentVersionResponse]:
    """Publish a new version of an agent."""
    check = wiring.live_check(access, now=call.now)
    agent, version = operations.publish_version(
        wiring.tenant_store(),
        wiring.documents(),
        caller.tenant_id,
        agent_id,
        config=body.config,
        live=body.live,
        now=call.now,
        idempotency_key=call.idempotency_key,
        base_urls=wiring.base_urls(),
        before_live=check.check_config,
    )
    return _published_response(caller, agent, version, check.report)


@router.route("GET", _VERSION, min_role=Role.OBSERVER)
def get_agent_version(caller: Caller, agent_id: str, version: int) -> Response[AgentVersionResponse]:
    """Get a version with its config."""
    agent = AgentTable(wiring.tenant_store(), caller.tenant_id).get(agent_id)
    found = VersionTable(wiring.tenant_store(), caller.tenant_id, agent_id).get_number(version)
    return ok(AgentVersionResponse(version=_version(caller, agent, found)))


@router.route("GET", f"{_VERSION}/diff", min_role=Role.OBSERVER)
def diff_agent_versions(
    caller: Caller, agent_id: str, version: int, query: Annotated[DiffQuery, Query()]
) -> Response[VersionDiffResponse]:
    """Compare a version with another one. The text is that of `system_prompt`, if it is no stored prompt."""
    AgentTable(wiring.tenant_store(), caller.tenant_id).get(agent_id)
    versions = VersionTable(wiring.tenant_store(), caller.tenant_id, agent_id)
    before, after = (
        operations.read_config(wiring.documents(), caller.tenant_id, versions.get_number(number).config)
        for number in (query.against, version)
    )
    text = text_diff(
        domain.prompt_text(before),
        domain.prompt_text(after),
        before_name=f"version {query.against}",
        after_name=f"version {version}",
    )
    patch = document_diff(before, after)
    return ok(VersionDiffResponse(diff=VersionDiff(version=version, against=query.against, text=text, patch=patch)))


@router.route("PATCH", _ALIAS, min_role=Role.DEVELOPER, feature=Feature.AGENTS, documented=False)
@router.route("PUT", _ALIAS, min_role=Role.DEVELOPER, feature=Feature.AGENTS)
def set_live_version(
    caller: Caller, access: KnownTenant, call: CurrentCall, agent_id: str, body: Annotated[LiveVersion, Body()]
) -> Response[AgentResponse]:
    """Make a version live. An older version rolls the agent back."""
    check = wiring.live_check(access, now=call.now)
    agent = operations.move_alias(
        wiring.tenant_store(),
        wiring.documents(),
        caller.tenant_id,
        agent_id,
        body.version,
        now=call.now,
        if_match=call.if_match,
        before_live=check.check_config,
    )
    return _agent_response(caller, agent, check.report)


def _agent_response(
    caller: TenantContext, agent: domain.Agent, report: LintReport | None = None
) -> Response[AgentResponse]:
    return ok(AgentResponse(agent=_agent(caller, agent), lint=LintSummary.of_live(report)), etag=agent.seq)


def _created_response(
    caller: TenantContext, agent: domain.Agent, report: LintReport | None = None
) -> Response[AgentResponse]:
    location = _AGENT.format(tenant_id=caller.tenant_id, agent_id=agent.agent_id)
    body = AgentResponse(agent=_agent(caller, agent), lint=LintSummary.of_live(report))
    return created(body, location=location, etag=agent.seq)


def _published_response(
    caller: TenantContext, agent: domain.Agent, version: domain.Version, report: LintReport | None = None
) -> Response[AgentVersionResponse]:
    location = _VERSION.format(tenant_id=caller.tenant_id, agent_id=agent.agent_id, version=version.version)
    body = AgentVersionResponse(version=_version(caller, agent, version), lint=LintSummary.of_live(report))
    return created(body, location=location)


def _agent(caller: TenantContext, agent: domain.Agent) -> Agent:
    config = operations.read_config(wiring.documents(), caller.tenant_id, agent.live_config)
    return Agent(**AgentSummary.of(agent).model_dump(), config=PublishedConfig.model_validate(config))


def _version(caller: TenantContext, agent: domain.Agent, version: domain.Version) -> AgentVersion:
    config = operations.read_config(wiring.documents(), caller.tenant_id, version.config)
    return AgentVersion(
        version=version.version,
        live=version.version == agent.live_version,
        created_at=version.created_at,
        config=PublishedConfig.model_validate(config),
    )
