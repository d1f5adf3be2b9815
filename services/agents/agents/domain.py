"""Agents, their versions and configs, and the rules that apply to them."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
)

from services.agents.base_urls.domain import BaseUrl
from services.agents.json_schemas.domain.schemas import UsableSchema
from services.agents.models.domain import ModelPrice
from services.agents.prompts.domain import PromptReference, SystemPrompt
from shared.document_ref import DocumentRef
from shared.events.agents import (
    AgentAliasMoved,
    AgentCreated,
    AgentDeleted,
    AgentEvent,
    AgentState,
    AgentUpdated,
    AgentVersionPublished,
)
from shared.events.envelope import Event, new_event
from shared.freejson import FreeObject, FreeText, bounded_by, encode
from shared.model_settings import NamedTool, Seed, StopSequences, Temperature, ToolChoiceSetting, TopP
from shared.schema import DocumentedModel

Document = dict[str, JsonValue]
"""A config as JSON, with only the fields that were given."""
MAX_SCHEMA_BYTES = 64 * 1024
"""Maximum size of a JSON Schema. A worker compiles it for each response, and a provider receives it with each call."""
MAX_TOOLS_BYTES = 256 * 1024
"""Maximum size of the parameters of all tools. Decoded, they take up to 24 times the memory, in ten runs at once."""
MAX_OUTPUT_TOKENS = 1_000_000

Schema = Annotated[FreeObject, bounded_by(MAX_SCHEMA_BYTES), UsableSchema]
"""A JSON Schema without references to the outside."""

_PROVIDERS_WITH_BASE_URL = ("openai", "anthropic", "azure")
"""Providers whose API is also implemented by other servers, or by one server of each customer."""
_BASE_URL_NOT_SUPPORTED = "is possible with the providers openai, anthropic and azure only"

_NO_SUCH_TOOL = "names no tool of this config"
_NO_TOOLS = "needs tools, and this config has none"

MediaBound = Annotated[int, Field(ge=1, le=2_000_000)]
ModelName = Annotated[FreeText, Field(min_length=1, max_length=200)]


class Tool(DocumentedModel):
    """A function that the client executes when the model asks for it."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: Annotated[FreeText, Field(max_length=10_000)] = ""
    """The text from which the model learns when to call the tool."""
    parameters: Schema = Field(default_factory=dict)
    """The JSON Schema of its arguments."""


class LintIgnore(DocumentedModel):
    """A rule of the linter that does not apply to this config."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rule_id: Annotated[str, Field(pattern=r"^[A-Z]{2,12}[0-9]{1,6}$")]
    reason: Annotated[FreeText, Field(max_length=500)] = ""
    """Why. Without a reason, the entry has no effect and is itself a finding."""


def _have_unique_names(tools: list[Tool]) -> list[Tool]:
    if len({tool.name for tool in tools}) < len(tools):
        msg = "two tools have the same name"
        raise ValueError(msg)
    return tools


def _have_bounded_parameters(tools: list[Tool]) -> list[Tool]:
    if sum(len(encode(tool.parameters)) for tool in tools) > MAX_TOOLS_BYTES:
        msg = f"the parameters of all tools together are larger than {MAX_TOOLS_BYTES} bytes as JSON"
        raise ValueError(msg)
    return tools


Tools = Annotated[
    list[Tool], Field(max_length=128), AfterValidator(_have_unique_names), AfterValidator(_have_bounded_parameters)
]


class AgentConfig(DocumentedModel):
    """The configuration of a version. Only the given fields are stored."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    provider: Literal["openai", "anthropic", "bedrock", "azure", "simulated"] | None = None
    """Null selects the provider by the prefix or the family of the model's name."""
    model: ModelName
    """The name of the model, for example `gpt-5.4` or `anthropic/claude-sonnet-4-6`."""
    base_url: BaseUrl | None = None
    """The URL of a server that is compatible with OpenAI or Anthropic; null for the provider's own."""
    api: Literal["responses", "chat"] | None = None
    """The API that the server implements; null for the provider's default."""
    system_prompt: SystemPrompt | None = None
    """Instructions that precede the conversation: the text, in which nothing is replaced, or a stored prompt."""
    temperature: Temperature | None = None
    top_p: TopP | None = None
    stop: StopSequences | None = None
    """Stop sequences: output ends before the first match. At most four."""
    seed: Seed | None = None
    """Makes the output more repeatable, where the provider supports it."""
    max_output_tokens: Annotated[int, Field(ge=1, le=MAX_OUTPUT_TOKENS)] | None = None
    """The output cap of each call; null is 4,096."""
    response_schema: Schema | None = None
    """The JSON Schema of the response; null for plain text."""
    tools: Tools | None = None
    """At most 128 functions with different names."""
    tool_choice: ToolChoiceSetting | None = None
    """The tools that the model may or must call; null is `auto`. A forced choice applies until the first tool output,
    so that the run can end."""
    parallel_tool_calls: bool | None = None
    """False limits each turn to one tool call; null is the provider's default."""
    fallbacks: Annotated[list[ModelName], Field(max_length=10)] | None = None
    """Models that are tried in this order when one is unavailable."""
    timeout_s: Annotated[int, Field(ge=1, le=600)] = 120
    """The maximum duration of a call, in seconds."""
    image_tokens: MediaBound | None = None
    """The most input tokens of one image, for a model at a server of one's own: it is reserved for each image."""
    file_tokens: MediaBound | None = None
    """The same for one PDF file."""
    price: ModelPrice | None = None
    """The tenant's own price of `model`; null for the provider's list price. Fallbacks have their list prices."""

    lint_ignore: Annotated[list[LintIgnore], Field(max_length=50)] | None = None
    """Findings of the linter that are no problem here."""

    @field_validator("base_url")
    @classmethod
    def _check_provider(cls, base_url: str | None, info: ValidationInfo) -> str | None:
        provider = info.data.get("provider")
        if base_url is not None and provider is not None and provider not in _PROVIDERS_WITH_BASE_URL:
            raise ValueError(_BASE_URL_NOT_SUPPORTED)
        return base_url

    @field_validator("tool_choice")
    @classmethod
    def _check_tool(cls, choice: ToolChoiceSetting | None, info: ValidationInfo) -> ToolChoiceSetting | None:
        names = {tool.name for tool in info.data.get("tools") or ()}
        if isinstance(choice, NamedTool) and choice.tool not in names:
            raise ValueError(_NO_SUCH_TOOL)
        if choice == "required" and not names:
            raise ValueError(_NO_TOOLS)
        return choice

    def to_document(self) -> Document:
        """Return the fields that were given, for storage. A null is the same as an absent field."""
        given = self.model_dump(mode="json", exclude_unset=True)
        if self.price:
            given["price"] = self.price.model_dump(mode="json", exclude_none=True)
        if isinstance(self.system_prompt, PromptReference):
            given["system_prompt"] = self.system_prompt.model_dump(mode="json", exclude_none=True, exclude_unset=True)
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Version:
    """A published, immutable config."""

    version: int
    config: DocumentRef
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Agent:
    """A named configuration that can be run. One of its versions is live."""

    agent_id: str
    name: str
    description: str | None
    type: str
    project_id: str | None
    live_version: int
    live_config: DocumentRef
    latest_version: int
    seq: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class AgentChange:
    """The result of an operation, which is saved in one transaction."""

    agent: Agent
    events: tuple[Event[AgentEvent], ...]
    published: Version | None = None
    """The version that this change publishes."""
    joins_project: str | None = None
    """The project that the agent joins with this change."""


@dataclass(frozen=True, slots=True)
class AgentDetails:
    """The name, description and project of an agent."""

    name: str
    description: str | None
    project_id: str | None


def create_agent(
    tenant_id: str, agent_id: str, details: AgentDetails, *, agent_type: str, config: DocumentRef, now: datetime
) -> AgentChange:
    """Return a new agent whose first version is live."""
    agent = Agent(
        agent_id=agent_id,
        name=details.name,
        description=details.description,
        type=agent_type,
        project_id=details.project_id,
        live_version=1,
        live_config=config,
        latest_version=1,
        seq=1,
        created_at=now,
        updated_at=now,
    )
    version = Version(1, config, created_at=now)
    events = (_state_event(AgentCreated, tenant_id, agent), _version_published_event(tenant_id, agent, version))
    return AgentChange(agent, events, published=version, joins_project=details.project_id)


def change_details(tenant_id: str, agent: Agent, details: AgentDetails, *, now: datetime) -> AgentChange:
    """Change the agent's name, description or project."""
    changed = _with_details(agent, details, now=now)
    return AgentChange(
        changed, (_state_event(AgentUpdated, tenant_id, changed),), joins_project=_joined_project(agent, changed)
    )


def publish_version(
    tenant_id: str, agent: Agent, details: AgentDetails, *, config: DocumentRef, live: bool, now: datetime
) -> AgentChange:
    """Publish a version of the agent, and set its name, description and project.

    Args:
        tenant_id: the tenant.
        agent: the agent before the change.
        details: the name, description and project after the change.
        config: the reference to the stored config.
        live: whether the version goes live.
        now: the time.
    """
    version = Version(agent.latest_version + 1, config, created_at=now)
    changed = replace(_with_details(agent, details, now=now), latest_version=version.version)
    if live:
        changed = replace(changed, live_version=version.version, live_config=config)
    payload = _state_event(AgentAliasMoved if live else AgentUpdated, tenant_id, changed)
    events = (_version_published_event(tenant_id, changed, version), payload)
    return AgentChange(changed, events, published=version, joins_project=_joined_project(agent, changed))


def move_alias(tenant_id: str, agent: Agent, version: Version, *, now: datetime) -> AgentChange:
    """Make this version live."""
    changed = replace(
        agent, live_version=version.version, live_config=version.config, seq=agent.seq + 1, updated_at=now
    )
    return AgentChange(changed, (_state_event(AgentAliasMoved, tenant_id, changed),))


def leave_project(tenant_id: str, agent: Agent, *, now: datetime) -> AgentChange:
    """Take the agent out of its project."""
    return change_details(tenant_id, agent, replace(details_of(agent), project_id=None), now=now)


def delete_agent(tenant_id: str, agent: Agent, *, now: datetime) -> Event[AgentDeleted]:
    """Return the event of a deletion. The versions remain, because earlier runs refer to them."""
    return new_event(
        AgentDeleted(agent_id=agent.agent_id),
        event_id=f"{agent.agent_id}:deleted",
        tenant_id=tenant_id,
        subject=agent.agent_id,
        seq=agent.seq + 1,
        at=now,
    )


def details_of(agent: Agent) -> AgentDetails:
    """Return the agent's current name, description and project."""
    return AgentDetails(agent.name, agent.description, agent.project_id)


def prompt_text(config: Document) -> str:
    """Return the text of the system prompt; empty without one, or for a stored prompt."""
    prompt = config.get("system_prompt")
    return prompt if isinstance(prompt, str) else ""


def _with_details(agent: Agent, details: AgentDetails, *, now: datetime) -> Agent:
    return replace(
        agent,
        name=details.name,
        description=details.description,
        project_id=details.project_id,
        seq=agent.seq + 1,
        updated_at=now,
    )


def _joined_project(before: Agent, after: Agent) -> str | None:
    return after.project_id if after.project_id != before.project_id else None


def _state_event(kind: type[AgentState], tenant_id: str, agent: Agent) -> Event[AgentState]:
    """Return an event with the agent's full state after its change."""
    state = kind(
        agent_id=agent.agent_id,
        project_id=agent.project_id,
        live_version=agent.live_version,
        latest_version=agent.latest_version,
    )
    verb = kind.TYPE.split(".")[1]
    return new_event(
        state,
        event_id=f"{agent.agent_id}:{agent.seq}:{verb}",
        tenant_id=tenant_id,
        subject=agent.agent_id,
        seq=agent.seq,
        at=agent.updated_at,
    )


def _version_published_event(tenant_id: str, agent: Agent, version: Version) -> Event[AgentVersionPublished]:
    subject = f"{agent.agent_id}:{version.version}"
    payload = AgentVersionPublished(
        agent_id=agent.agent_id,
        version=version.version,
        config_key=version.config.key,
        config_sha256=version.config.sha256,
    )
    return new_event(
        payload, event_id=f"{subject}:published", tenant_id=tenant_id, subject=subject, seq=1, at=version.created_at
    )
