"""Prompts, their versions and the rules that apply to them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag

from shared.document_ref import DocumentRef
from shared.events.agents import (
    AgentEvent,
    PromptAliasMoved,
    PromptCreated,
    PromptDeleted,
    PromptState,
    PromptUpdated,
    PromptVersionPublished,
)
from shared.events.envelope import Event, new_event
from shared.freejson import FreeText, encode
from shared.ids import pattern
from shared.schema import DocumentedModel
from shared.template import MAX_VARIABLES, NAME, TemplateInvalid, variables_of
from shared.validation import OBJECT_TAG, TEXT_TAG

MAX_TEMPLATE_BYTES = 256 * 1024
"""The maximum size of a template in UTF-8."""
MAX_VALUES_BYTES = 256 * 1024
"""The maximum size of the values of an agent's variables, as JSON."""


def _check_template(template: str) -> str:
    if len(template.encode()) > MAX_TEMPLATE_BYTES:
        msg = f"is larger than {MAX_TEMPLATE_BYTES} bytes"
        raise ValueError(msg)
    try:
        variables_of(template)
    except TemplateInvalid as error:
        raise ValueError(str(error)) from error
    return template


def _check_values(values: dict[str, str]) -> dict[str, str]:
    if len(encode(values)) > MAX_VALUES_BYTES:
        msg = f"is larger than {MAX_VALUES_BYTES} bytes as JSON"
        raise ValueError(msg)
    return values


Template = Annotated[FreeText, Field(min_length=1), AfterValidator(_check_template)]
"""Text with `{{name}}` placeholders; `{{{{` is a literal `{{`."""
VariableName = Annotated[str, Field(pattern=f"^{NAME}$")]
VariableValues = Annotated[dict[VariableName, FreeText], Field(max_length=MAX_VARIABLES), AfterValidator(_check_values)]


class PromptReference(DocumentedModel):
    """A stored prompt, for use as the system prompt of an agent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt_id: Annotated[str, Field(pattern=pattern("prm"))]
    version: Annotated[int, Field(ge=1, le=9_999_999)] | None = None
    """Null: the version that is live when a run is submitted."""
    variables: VariableValues = Field(default_factory=dict)
    """Values of variables. A run can replace them and must pass those that are missing here."""


def _kind_of(prompt: object) -> str:
    return OBJECT_TAG if isinstance(prompt, dict | PromptReference) else TEXT_TAG


SystemPrompt = Annotated[
    Annotated[FreeText, Tag(TEXT_TAG)] | Annotated[PromptReference, Tag(OBJECT_TAG)], Discriminator(_kind_of)
]
"""A text, in which nothing is replaced, or a stored prompt."""


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """A published, immutable template."""

    version: int
    template: DocumentRef
    variables: tuple[str, ...]
    """The names of the placeholders."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Prompt:
    """A named template. One of its versions is live."""

    prompt_id: str
    name: str
    description: str | None
    project_id: str | None
    live_version: int
    live_template: DocumentRef
    variables: tuple[str, ...]
    """The names of the placeholders of the live version."""
    latest_version: int
    seq: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class PromptChange:
    """The result of an operation, which is saved in one transaction."""

    prompt: Prompt
    events: tuple[Event[AgentEvent], ...]
    published: PromptVersion | None = None
    """The version that this change publishes."""
    joins_project: str | None = None
    """The project that the prompt joins with this change."""


@dataclass(frozen=True, slots=True)
class PromptDetails:
    """The name, description and project of a prompt."""

    name: str
    description: str | None
    project_id: str | None


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """A template in the bucket."""

    document: DocumentRef
    variables: tuple[str, ...]


def create_prompt(
    tenant_id: str, prompt_id: str, details: PromptDetails, *, template: StoredTemplate, now: datetime
) -> PromptChange:
    """Return a new prompt whose first version is live."""
    prompt = Prompt(
        prompt_id=prompt_id,
        name=details.name,
        description=details.description,
        project_id=details.project_id,
        live_version=1,
        live_template=template.document,
        variables=template.variables,
        latest_version=1,
        seq=1,
        created_at=now,
        updated_at=now,
    )
    version = PromptVersion(1, template.document, template.variables, created_at=now)
    events = (_state_event(PromptCreated, tenant_id, prompt), _published_event(tenant_id, prompt, version))
    return PromptChange(prompt, events, published=version, joins_project=details.project_id)


def change_details(tenant_id: str, prompt: Prompt, details: PromptDetails, *, now: datetime) -> PromptChange:
    """Change the prompt's name, description or project."""
    changed = _with_details(prompt, details, now=now)
    event = _state_event(PromptUpdated, tenant_id, changed)
    return PromptChange(changed, (event,), joins_project=_joined_project(prompt, changed))


def publish_version(
    tenant_id: str, prompt: Prompt, details: PromptDetails, *, template: StoredTemplate, live: bool, now: datetime
) -> PromptChange:
    """Publish a version of the prompt, and set its name, description and project."""
    version = PromptVersion(prompt.latest_version + 1, template.document, template.variables, created_at=now)
    changed = replace(_with_details(prompt, details, now=now), latest_version=version.version)
    if live:
        changed = _with_live(changed, version)
    state = _state_event(PromptAliasMoved if live else PromptUpdated, tenant_id, changed)
    events = (_published_event(tenant_id, changed, version), state)
    return PromptChange(changed, events, published=version, joins_project=_joined_project(prompt, changed))


def move_alias(tenant_id: str, prompt: Prompt, version: PromptVersion, *, now: datetime) -> PromptChange:
    """Make this version live."""
    changed = replace(_with_live(prompt, version), seq=prompt.seq + 1, updated_at=now)
    return PromptChange(changed, (_state_event(PromptAliasMoved, tenant_id, changed),))


def leave_project(tenant_id: str, prompt: Prompt, *, now: datetime) -> PromptChange:
    """Take the prompt out of its project."""
    return change_details(tenant_id, prompt, replace(details_of(prompt), project_id=None), now=now)


def delete_prompt(tenant_id: str, prompt: Prompt, *, now: datetime) -> Event[PromptDeleted]:
    """Return the event of a deletion. The versions remain, because earlier runs refer to them."""
    return new_event(
        PromptDeleted(prompt_id=prompt.prompt_id),
        event_id=f"{prompt.prompt_id}:deleted",
        tenant_id=tenant_id,
        subject=prompt.prompt_id,
        seq=prompt.seq + 1,
        at=now,
    )


def details_of(prompt: Prompt) -> PromptDetails:
    """Return the prompt's current name, description and project."""
    return PromptDetails(prompt.name, prompt.description, prompt.project_id)


def unknown_names(values: Sequence[str], variables: Sequence[str]) -> tuple[str, ...]:
    """Return the names that are no variables of a template."""
    return tuple(name for name in values if name not in variables)


def _with_live(prompt: Prompt, version: PromptVersion) -> Prompt:
    return replace(prompt, live_version=version.version, live_template=version.template, variables=version.variables)


def _with_details(prompt: Prompt, details: PromptDetails, *, now: datetime) -> Prompt:
    return replace(
        prompt,
        name=details.name,
        description=details.description,
        project_id=details.project_id,
        seq=prompt.seq + 1,
        updated_at=now,
    )


def _joined_project(before: Prompt, after: Prompt) -> str | None:
    return after.project_id if after.project_id != before.project_id else None


def _state_event(kind: type[PromptState], tenant_id: str, prompt: Prompt) -> Event[PromptState]:
    """Return an event with the prompt's full state after its change."""
    state = kind(
        prompt_id=prompt.prompt_id,
        project_id=prompt.project_id,
        live_version=prompt.live_version,
        latest_version=prompt.latest_version,
    )
    return new_event(
        state,
        event_id=f"{prompt.prompt_id}:{prompt.seq}:{kind.TYPE.split('.')[1]}",
        tenant_id=tenant_id,
        subject=prompt.prompt_id,
        seq=prompt.seq,
        at=prompt.updated_at,
    )


def _published_event(tenant_id: str, prompt: Prompt, version: PromptVersion) -> Event[PromptVersionPublished]:
    subject = f"{prompt.prompt_id}:{version.version}"
    payload = PromptVersionPublished(
        prompt_id=prompt.prompt_id,
        version=version.version,
        template_key=version.template.key,
        template_sha256=version.template.sha256,
    )
    return new_event(
        payload, event_id=f"{subject}:published", tenant_id=tenant_id, subject=subject, seq=1, at=version.created_at
    )
