"""Request and response models of lints."""

from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from services.agents.lint_rules.domain.finding import Category, Finding, Severity, TargetKind
from services.agents.lint_rules.schemas import LintSummary
from services.agents.linting.domain import BUILTIN, Lint
from services.agents.linting.domain import LintTarget as Target
from shared.freejson import FreeObject
from shared.http.responses import ResponseBody
from shared.ids import pattern
from shared.schema import DocumentedModel, SparseModel
from shared.times import Rfc3339

_FINDING_ID = r"^[0-9a-f]{16}$"


class LintTarget(DocumentedModel):
    """The document to examine: an agent, a prompt or a config."""

    model_config = ConfigDict(extra="forbid", strict=True)

    agent_id: Annotated[str, Field(pattern=pattern("agt"))] | None = None
    prompt_id: Annotated[str, Field(pattern=pattern("prm"))] | None = None
    version: Annotated[int, Field(ge=1, le=9_999_999)] | None = None
    """The version of the agent or prompt; null for the live one."""
    config: FreeObject | None = None
    """A config that is not stored. It is examined even if it is not valid."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        given = [name for name in ("agent_id", "prompt_id", "config") if getattr(self, name) is not None]
        if len(given) != 1:
            msg = "give one of agent_id, prompt_id and config"
            raise ValueError(msg)
        if self.config is not None and self.version is not None:
            msg = "a config has no version"
            raise ValueError(msg)
        return self


class NewLint(DocumentedModel):
    """The request to examine a document."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"target": {"config": {"model": "gpt-4", "max_output_tokens": 500}}}]},
    )

    target: LintTarget
    min_severity: Annotated[Severity, Field(strict=False)] = Severity.INFO
    """The least severity of the findings in the response."""


class FixRequest(DocumentedModel):
    """The request to fix findings."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"finding_ids": ["9f86d081884c7d65"]}]}
    )

    finding_ids: Annotated[list[Annotated[str, Field(pattern=_FINDING_ID)]], Field(min_length=1, max_length=200)]


class LintedDocument(SparseModel):
    """The document that was examined; empty for a config in the request."""

    agent_id: str = ""
    prompt_id: str = ""
    version: int = Field(default_factory=int)

    @classmethod
    def of(cls, target: Target) -> Self:
        """Return the response body of a target."""
        fields = {"agent_id": target.agent_id, "prompt_id": target.prompt_id, "version": target.version}
        return cls.model_validate({name: value for name, value in fields.items() if value is not None})


class LintLocation(DocumentedModel):
    """The place of a finding."""

    pointer: str
    """The JSON Pointer of the value in the config, or `/template` of a prompt."""
    start: int
    """The first code point of the place in a text. 0 with `end` 0 means the value as a whole."""
    end: int


class LintFinding(SparseModel):
    """A finding."""

    finding_id: str
    """The same for the same finding in each version."""
    rule_id: str
    severity: Severity
    category: Category
    message: str
    target: TargetKind
    location: LintLocation
    suggestion: str = ""
    fix: list[dict[str, Any]] = Field(default_factory=list)
    """The JSON Patch (RFC 6902) that removes the cause. Absent if a person must decide."""

    @classmethod
    def of(cls, finding: Finding) -> Self:
        """Return the response body of a finding."""
        fields = {
            "finding_id": finding.finding_id,
            "rule_id": finding.rule_id,
            "severity": finding.severity,
            "category": finding.category,
            "message": finding.message,
            "target": finding.target,
            "location": LintLocation(pointer=finding.pointer, start=finding.start, end=finding.end),
            "suggestion": finding.suggestion,
            "fix": [dict(operation) for operation in finding.fix],
        }
        return cls.model_validate({name: value for name, value in fields.items() if value})


class LintResult(DocumentedModel):
    """The result of an examination."""

    lint_id: str
    target: LintedDocument
    ruleset: str
    """The rules that were evaluated."""
    summary: LintSummary
    suppressed: int
    """The number of findings that the config ignores with a reason."""
    truncated: bool
    """Whether there are more findings than the 200 of a response."""
    findings: list[LintFinding]
    created_at: Rfc3339

    @classmethod
    def of(cls, lint: Lint) -> Self:
        """Return the response body of a lint."""
        return cls(
            lint_id=lint.lint_id,
            target=LintedDocument.of(lint.target),
            ruleset=BUILTIN,
            summary=LintSummary.of(lint.report),
            suppressed=lint.report.suppressed,
            truncated=lint.report.is_truncated,
            findings=[LintFinding.of(finding) for finding in lint.report.findings],
            created_at=lint.created_at,
        )


class LintResponse(ResponseBody):
    """The response with one result."""

    lint: LintResult


class SarifLog(DocumentedModel):
    """A SARIF 2.1.0 log."""

    schema_uri: Annotated[str, Field(alias="$schema")]
    version: str
    runs: list[dict[str, Any]]


class FixedVersionResponse(ResponseBody):
    """The response with the version that has the fixes. It is not live."""

    fixed: LintedDocument
