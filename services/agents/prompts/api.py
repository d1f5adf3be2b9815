"""HTTP API of prompts, their versions and the live alias."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from services.agents import wiring
from services.agents.diffs.domain import document_diff, text_diff
from services.agents.diffs.schemas import DiffQuery, VersionDiff, VersionDiffResponse
from services.agents.lint_rules.domain.finding import LintReport
from services.agents.lint_rules.schemas import LintSummary
from services.agents.prompts import domain, operations
from services.agents.prompts.domain import PromptDetails
from services.agents.prompts.schemas import (
    LivePromptVersion,
    NewPrompt,
    NewPromptVersion,
    Prompt,
    PromptPatch,
    PromptResponse,
    PromptsResponse,
    PromptSummary,
    PromptVersion,
    PromptVersionResponse,
    PromptVersionsResponse,
    PromptVersionSummary,
)
from services.agents.prompts.table import PromptTable, PromptVersionTable
from shared.http.call import Caller, CurrentCall, KnownTenant
from shared.http.pagination import PageQuery, cursor_of, page_after
from shared.http.responses import created, no_content, ok
from shared.http.router import Router
from shared.ids import new_id, pattern
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Feature, Role

router = Router()

_PROMPTS = "/v1/tenants/{tenant_id}/prompts"
_PROMPT = f"{_PROMPTS}/{{prompt_id}}"
_VERSIONS = f"{_PROMPT}/versions"
_VERSION = f"{_VERSIONS}/{{version}}"
_ALIAS = f"{_PROMPT}/alias"


@router.route("GET", _PROMPTS, min_role=Role.ANALYST)
def list_prompts(caller: Caller, query: Annotated[PageQuery, Query()]) -> Response[PromptsResponse]:
    """List prompts, newest first, without their templates."""
    after = cursor_of(query.token, caller.tenant_id, "prompts", form=pattern("prm"))
    prompts, next_cursor = _prompts(caller).page(limit=query.limit, after=after)
    return ok(
        PromptsResponse(
            prompts=[PromptSummary.of(prompt) for prompt in prompts],
            pagination=page_after(next_cursor, caller.tenant_id, "prompts"),
        )
    )


def _replay_created(caller: TenantContext, prompt_id: str) -> Response[PromptResponse]:
    return _created_response(caller, _prompts(caller).get(prompt_id))


@router.route("POST", _PROMPTS, min_role=Role.DEVELOPER, feature=Feature.AGENTS, replay=_replay_created)
def create_prompt(
    caller: Caller, access: KnownTenant, call: CurrentCall, body: Annotated[NewPrompt, Body()]
) -> Response[PromptResponse]:
    """Create a prompt. Its template becomes version 1 and goes live."""
    check = wiring.live_check(access, now=call.now)
    prompt = operations.create_prompt(
        wiring.tenant_store(),
        wiring.documents(),
        caller.tenant_id,
        prompt_id=new_id("prm", call.now),
        details=PromptDetails(body.name, body.description, body.project_id),
        template=body.template,
        now=call.now,
        idempotency_key=call.idempotency_key,
        before_live=check.check_template,
    )
    return _created_response(caller, prompt, check.report)


@router.route("GET", _PROMPT, min_role=Role.ANALYST)
def get_prompt(caller: Caller, prompt_id: str) -> Response[PromptResponse]:
    """Get a prompt with its live template."""
    return _prompt_response(caller, _prompts(caller).get(prompt_id))


@router.route("PATCH", _PROMPT, min_role=Role.DEVELOPER, feature=Feature.AGENTS)
@router.route("PUT", _PROMPT, min_role=Role.DEVELOPER, feature=Feature.AGENTS, documented=False)
def update_prompt(
    caller: Caller, access: KnownTenant, call: CurrentCall, prompt_id: str, body: Annotated[PromptPatch, Body()]
) -> Response[PromptResponse]:
    """Change a prompt's name, description or project. A template is published as a new version and goes live."""
    check = wiring.live_check(access, now=call.now)
    given = body.model_fields_set
    patch = operations.PromptUpdate(
        name=body.name or None,
        description=body.description,
        clears_description="description" in given and body.description is None,
        project_id=body.project_id,
        clears_project="project_id" in given and body.project_id is None,
        template=body.template or None,
    )
    prompt = operations.change_prompt(
        wiring.tenant_store(),
        wiring.documents(),
        caller.tenant_id,
        prompt_id,
        patch,
        now=call.now,
        if_match=call.if_match,
        before_live=check.check_template,
    )
    return _prompt_response(caller, prompt, check.report)


@router.route("DELETE", _PROMPT, min_role=Role.DEVELOPER, feature=Feature.AGENTS)
def delete_prompt(caller: Caller, call: CurrentCall, prompt_id: str) -> Response[None]:
    """Delete a prompt. Runs that were submitted before continue; new runs of agents that use it are refused."""
    operations.delete_prompt(wiring.tenant_store(), caller.tenant_id, prompt_id, now=call.now, if_match=call.if_match)
    return no_content()


@router.route("GET", _VERSIONS, min_role=Role.ANALYST)
def list_prompt_versions(
    caller: Caller, prompt_id: str, query: Annotated[PageQuery, Query()]
) -> Response[PromptVersionsResponse]:
    """List the versions of a prompt, newest first, without their templates."""
    scope = (caller.tenant_id, "prompt-versions", prompt_id)
    prompt = _prompts(caller).get(prompt_id)
    after = cursor_of(query.token, *scope, form="[0-9]{7}")
    versions, next_cursor = _versions(caller, prompt_id).page(limit=query.limit, after=after)
    rows = [_version_summary(prompt, one) for one in versions]
    return ok(PromptVersionsResponse(versions=rows, pagination=page_after(next_cursor, *scope)))


def _replay_published(caller: TenantContext, subject: str) -> Response[PromptVersionResponse]:
    prompt_id, _, version = subject.partition(":")
    prompt = _prompts(caller).get(prompt_id)
    return _published_response(caller, prompt, _versions(caller, prompt_id).get_number(int(version)))


@router.route("POST", _VERSIONS, min_role=Role.DEVELOPER, feature=Feature.AGENTS, replay=_replay_published)
def publish_prompt_version(
    caller: Caller, access: KnownTenant, call: CurrentCall, prompt_id: str, body: Annotated[NewPromptVersion, Body()]
) -> Response[PromptVersionResponse]:
    """Publish a new version of a prompt."""
    check = wiring.live_check(access, now=call.now)
    prompt, version = operations.publish_version(
        wiring.tenant_store(),
        wiring.documents(),
        caller.tenant_id,
        prompt_id,
        template=body.template,
        live=body.live,
        now=call.now,
        idempotency_key=call.idempotency_key,
        before_live=check.check_template,
    )
    return _published_response(caller, prompt, version, check.report)


@router.route("GET", _VERSION, min_role=Role.ANALYST)
def get_prompt_version(caller: Caller, prompt_id: str, version: int) -> Response[PromptVersionResponse]:
    """Get a version with its template."""
    prompt = _prompts(caller).get(prompt_id)
    found = _versions(caller, prompt_id).get_number(version)
    return ok(PromptVersionResponse(version=_version(caller, prompt, found)))


@router.route("GET", f"{_VERSION}/diff", min_role=Role.OBSERVER)
def diff_prompt_versions(
    caller: Caller, prompt_id: str, version: int, query: Annotated[DiffQuery, Query()]
) -> Response[VersionDiffResponse]:
    """Compare a version with another one."""
    _prompts(caller).get(prompt_id)
    numbers = (query.against, version)
    before, after = (
        operations.read_template(
            wiring.documents(), caller.tenant_id, _versions(caller, prompt_id).get_number(number).template
        )
        for number in numbers
    )
    text = text_diff(before, after, before_name=f"version {query.against}", after_name=f"version {version}")
    patch = document_diff({"template": before}, {"template": after})
    return ok(VersionDiffResponse(diff=VersionDiff(version=version, against=query.against, text=text, patch=patch)))


@router.route("PATCH", _ALIAS, min_role=Role.DEVELOPER, feature=Feature.AGENTS, documented=False)
@router.route("PUT", _ALIAS, min_role=Role.DEVELOPER, feature=Feature.AGENTS)
def set_live_prompt_version(
    caller: Caller, access: KnownTenant, call: CurrentCall, prompt_id: str, body: Annotated[LivePromptVersion, Body()]
) -> Response[PromptResponse]:
    """Make a version live. An older version rolls the prompt back."""
    check = wiring.live_check(access, now=call.now)
    prompt = operations.move_alias(
        wiring.tenant_store(),
        wiring.documents(),
        caller.tenant_id,
        prompt_id,
        body.version,
        now=call.now,
        if_match=call.if_match,
        before_live=check.check_template,
    )
    return _prompt_response(caller, prompt, check.report)


def _prompts(caller: TenantContext) -> PromptTable:
    return PromptTable(wiring.tenant_store(), caller.tenant_id)


def _versions(caller: TenantContext, prompt_id: str) -> PromptVersionTable:
    return PromptVersionTable(wiring.tenant_store(), caller.tenant_id, prompt_id)


def _prompt_response(
    caller: TenantContext, prompt: domain.Prompt, report: LintReport | None = None
) -> Response[PromptResponse]:
    return ok(PromptResponse(prompt=_prompt(caller, prompt), lint=LintSummary.of_live(report)), etag=prompt.seq)


def _created_response(
    caller: TenantContext, prompt: domain.Prompt, report: LintReport | None = None
) -> Response[PromptResponse]:
    location = _PROMPT.format(tenant_id=caller.tenant_id, prompt_id=prompt.prompt_id)
    body = PromptResponse(prompt=_prompt(caller, prompt), lint=LintSummary.of_live(report))
    return created(body, location=location, etag=prompt.seq)


def _published_response(
    caller: TenantContext, prompt: domain.Prompt, version: domain.PromptVersion, report: LintReport | None = None
) -> Response[PromptVersionResponse]:
    location = _VERSION.format(tenant_id=caller.tenant_id, prompt_id=prompt.prompt_id, version=version.version)
    body = PromptVersionResponse(version=_version(caller, prompt, version), lint=LintSummary.of_live(report))
    return created(body, location=location)


def _prompt(caller: TenantContext, prompt: domain.Prompt) -> Prompt:
    template = operations.read_template(wiring.documents(), caller.tenant_id, prompt.live_template)
    return Prompt(**PromptSummary.of(prompt).model_dump(), template=template)


def _version_summary(prompt: domain.Prompt, version: domain.PromptVersion) -> PromptVersionSummary:
    return PromptVersionSummary(
        version=version.version,
        live=version.version == prompt.live_version,
        variables=[*version.variables],
        created_at=version.created_at,
    )


def _version(caller: TenantContext, prompt: domain.Prompt, version: domain.PromptVersion) -> PromptVersion:
    template = operations.read_template(wiring.documents(), caller.tenant_id, version.template)
    return PromptVersion(**_version_summary(prompt, version).model_dump(), template=template)
