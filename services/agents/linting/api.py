"""HTTP API of the linter."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from services.agents import wiring
from services.agents.linting.domain import Lint
from services.agents.linting.domain import LintTarget as Target
from services.agents.linting.operations import Linter
from services.agents.linting.schemas import (
    FixedVersionResponse,
    FixRequest,
    LintedDocument,
    LintResponse,
    LintResult,
    NewLint,
    SarifLog,
)
from shared.http.call import Caller, CurrentCall
from shared.http.responses import created
from shared.http.router import Router
from shared.ids import new_id
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Feature, Role

router = Router()

_LINT = "/v1/tenants/{tenant_id}/lint"
_RESULTS = f"{_LINT}/{{lint_id}}/results"
SARIF = "application/sarif+json"


def _replay_lint(caller: TenantContext, lint_id: str) -> Response[LintResponse]:
    return _created_response(caller, _linter(caller).get(lint_id))


@router.route("POST", f"{_LINT}/run", min_role=Role.DEVELOPER, feature=Feature.LINTING, replay=_replay_lint)
def run_lint(caller: Caller, call: CurrentCall, body: Annotated[NewLint, Body()]) -> Response[LintResponse]:
    """Examine an agent, a prompt or a config by the built-in rules."""
    target = body.target
    lint = _linter(caller).lint_target(
        Target(target.agent_id, target.prompt_id, target.version),
        target.config,
        lint_id=new_id("lnt", call.now),
        min_severity=body.min_severity,
        now=call.now,
        idempotency_key=call.idempotency_key,
    )
    return _created_response(caller, lint)


@router.route("GET", _RESULTS, min_role=Role.ANALYST, alternatives={SARIF: SarifLog})
def get_lint_results(caller: Caller, call: CurrentCall, lint_id: str) -> Response[LintResponse | str]:
    """Get the result of a lint, for 90 days. With `Accept: application/sarif+json`, as SARIF 2.1.0."""
    lint = _linter(caller).get(lint_id)
    if SARIF not in (call.accept or ""):
        return Response(200, content_type="application/json", body=LintResponse(lint=LintResult.of(lint)))
    return Response(200, content_type=SARIF, body=_sarif(lint))


def _replay_fixed(caller: TenantContext, subject: str) -> Response[FixedVersionResponse]:
    subject_id, _, version = subject.partition(":")
    is_prompt = subject_id.startswith("prm_")
    return _fixed_response(
        caller, Target(None if is_prompt else subject_id, subject_id if is_prompt else None, int(version))
    )


@router.route(
    "POST", f"{_LINT}/{{lint_id}}/fix", min_role=Role.DEVELOPER, feature=Feature.LINTING, replay=_replay_fixed
)
def fix_findings(
    caller: Caller, call: CurrentCall, lint_id: str, body: Annotated[FixRequest, Body()]
) -> Response[FixedVersionResponse]:
    """Publish a version of the linted agent or prompt with the fixes of these findings. It does not go live."""
    fixed = _linter(caller).fix(
        lint_id,
        body.finding_ids,
        now=call.now,
        idempotency_key=call.idempotency_key,
        base_urls=wiring.base_urls(),
    )
    return _fixed_response(caller, fixed)


def _linter(caller: TenantContext) -> Linter:
    return wiring.linter(caller.tenant_id)


def _created_response(caller: TenantContext, lint: Lint) -> Response[LintResponse]:
    location = _RESULTS.format(tenant_id=caller.tenant_id, lint_id=lint.lint_id)
    return created(LintResponse(lint=LintResult.of(lint)), location=location)


def _fixed_response(caller: TenantContext, fixed: Target) -> Response[FixedVersionResponse]:
    kind, subject_id = ("prompts", fixed.prompt_id) if fixed.prompt_id else ("agents", fixed.agent_id)
    location = f"/v1/tenants/{caller.tenant_id}/{kind}/{subject_id}/versions/{fixed.version}"
    return created(FixedVersionResponse(fixed=LintedDocument.of(fixed)), location=location)


def _sarif(lint: Lint) -> str:
    from services.agents.lint_rules.domain.registry import builtin_rules
    from services.agents.lint_rules.domain.sarif import to_sarif

    target = lint.target
    kind, subject_id = ("prompts", target.prompt_id) if target.prompt_id else ("agents", target.agent_id)
    uri = f"{kind}/{subject_id}/versions/{target.version}.json" if target.is_stored else "config.json"
    log = SarifLog.model_validate(to_sarif(lint.report.findings, builtin_rules(), uri=uri))
    return log.model_dump_json(by_alias=True)
