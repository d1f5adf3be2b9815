"""Request and response models of prompts and their versions."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field

from services.agents.lint_rules.schemas import LintSummary
from services.agents.prompts import domain
from services.agents.prompts.domain import Template
from shared.freejson import FreeText, Line
from shared.http.responses import ListResponse, ResponseBody
from shared.ids import pattern
from shared.schema import DocumentedModel
from shared.times import Rfc3339

PromptName = Annotated[Line, Field(min_length=1, max_length=200)]
PromptDescription = Annotated[FreeText, Field(max_length=2_000)]
ProjectOfPrompt = Annotated[str, Field(pattern=pattern("prj"))]
_TEMPLATE = "You support the customers of {{ company }}."


class PromptSummary(DocumentedModel):
    """A prompt in a list."""

    prompt_id: str
    name: str
    description: str | None
    project_id: str | None
    version: int
    """The live version."""
    latest_version: int
    variables: list[str]
    """The names of the placeholders of the live version."""
    created_at: Rfc3339
    updated_at: Rfc3339

    @classmethod
    def of(cls, prompt: domain.Prompt) -> Self:
        """Return the response body of a prompt, without its template."""
        return cls(
            prompt_id=prompt.prompt_id,
            name=prompt.name,
            description=prompt.description,
            project_id=prompt.project_id,
            version=prompt.live_version,
            latest_version=prompt.latest_version,
            variables=[*prompt.variables],
            created_at=prompt.created_at,
            updated_at=prompt.updated_at,
        )


class Prompt(PromptSummary):
    """A prompt with its live template."""

    template: str
    """Text with `{{name}}` placeholders; `{{{{` is a literal `{{`."""


class PromptVersionSummary(DocumentedModel):
    """A version in a list."""

    version: int
    live: bool
    variables: list[str]
    created_at: Rfc3339


class PromptVersion(PromptVersionSummary):
    """An immutable version with its template."""

    template: str


class NewPrompt(DocumentedModel):
    """The request to create a prompt."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"name": "Support", "template": _TEMPLATE}]},
    )

    name: PromptName
    description: PromptDescription | None = None
    project_id: ProjectOfPrompt | None = None
    template: Template
    """Text with `{{name}}` placeholders; `{{{{` is a literal `{{`."""


class PromptPatch(DocumentedModel):
    """A JSON merge patch (RFC 7396) of a prompt. A template is published as a new version and goes live."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"name": "Customer Support"}]}
    )

    name: PromptName = Field(default_factory=str)
    description: PromptDescription | None = None
    project_id: ProjectOfPrompt | None = None
    template: Template = Field(default_factory=str)


class NewPromptVersion(DocumentedModel):
    """The request to publish a version."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"template": _TEMPLATE, "live": True}]}
    )

    template: Template
    live: bool = False
    """Whether the version goes live at once."""


class LivePromptVersion(DocumentedModel):
    """The request to make a version live."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"version": 1}]})

    version: Annotated[int, Field(ge=1)]


class PromptResponse(ResponseBody):
    """The response with one prompt."""

    prompt: Prompt
    lint: LintSummary | None = None
    """The findings of the version that this request has made live; null if no version went live or the gate is off."""


class PromptsResponse(ListResponse):
    """A page of prompts, newest first."""

    prompts: list[PromptSummary]


class PromptVersionResponse(ResponseBody):
    """The response with one version."""

    version: PromptVersion
    lint: LintSummary | None = None
    """The findings of the version that this request has made live; null if no version went live or the gate is off."""


class PromptVersionsResponse(ListResponse):
    """A page of versions, newest first."""

    versions: list[PromptVersionSummary]
