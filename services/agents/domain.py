"""Agents, their versions and configs, and the rules they keep."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AnyUrl,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationInfo,
    field_validator,
)

from shared.events.agents import (
    AgentAliasMoved,
    AgentCreated,
    AgentDeleted,
    AgentEvent,
    AgentState,
    AgentUpdated,
    AgentVersionPublished,
)
from shared.events.envelope import Event, happened
from shared.freejson import FreeObject, FreeText, at_most, encode
from shared.stored import Stored

Document = dict[str, JsonValue]
"""A config as it was given: JSON, with the fields that were set and no others."""
MAX_SCHEMA_BYTES = 64 * 1024
"""Of one JSON Schema. A worker compiles it for each answer, and a provider gets it with each call."""
MAX_TOOLS_BYTES = 256 * 1024
"""Of the parameters of all tools. A decoded schema takes up to 24 times as much memory, in ten runs at once."""
MAX_OUTPUT_TOKENS = 1_000_000

Schema = Annotated[FreeObject, at_most(MAX_SCHEMA_BYTES)]
"""A JSON Schema; what it means is judged where it is used."""

_OWN_SERVERS = ("openai", "anthropic")
"""Providers whose API other servers speak."""
_NOT_OWN_SERVER = "is possible with the providers openai and anthropic only"

NO_ADDRESS = "must be an https address without a user or password"
_URL = TypeAdapter(AnyUrl)


def _is_address(text: str) -> str:
    """An absolute address; which ones are allowed is the environment's rule, and who answers there is checked later."""
    url = _URL.validate_python(text)
    if not re.fullmatch(r"https?://[^/\s]\S*", text) or url.username or url.password:
        raise ValueError(NO_ADDRESS)
    return text


BaseUrl = Annotated[str, Field(max_length=2_000), AfterValidator(_is_address)]
"""Of a server that speaks a provider's API."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Which servers may be named; which of them are reached at all is decided again when one is called.

    Args:
        allow_private: for a machine of one's own: plain http too.
    """

    allow_private: bool = False

    def allow(self, base_url: str | None) -> bool:
        """Whether this may be the address of a provider's server; None is the provider's own."""
        return base_url is None or self.allow_private or base_url.startswith("https://")


PUBLIC_ADDRESSES = Addresses()


ModelName = Annotated[FreeText, Field(min_length=1, max_length=200)]


class Tool(BaseModel):
    """A function that the client executes when the model asks for it."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: Annotated[FreeText, Field(max_length=10_000)] = ""
    parameters: Schema = Field(default_factory=dict)
    """JSON Schema of its arguments."""


def _have_names_of_their_own(tools: list[Tool]) -> list[Tool]:
    if len({tool.name for tool in tools}) < len(tools):
        msg = "two tools have the same name"
        raise ValueError(msg)
    return tools


def _are_bounded(tools: list[Tool]) -> list[Tool]:
    if sum(len(encode(tool.parameters)) for tool in tools) > MAX_TOOLS_BYTES:
        msg = f"the parameters of all tools together are larger than {MAX_TOOLS_BYTES} bytes as JSON"
        raise ValueError(msg)
    return tools


Tools = Annotated[
    list[Tool], Field(max_length=128), AfterValidator(_have_names_of_their_own), AfterValidator(_are_bounded)
]


class AgentConfig(BaseModel):
    """What a version of an agent runs with; only the fields that were given are stored."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    provider: Literal["openai", "anthropic", "bedrock", "simulated"] | None = None
    """None: the one that the model's name stands for."""
    model: ModelName
    base_url: BaseUrl | None = None
    """Of a server that is compatible with OpenAI or Anthropic; None: the provider's own."""
    api: Literal["responses", "chat"] | None = None
    """Which API the server speaks; None: the one that is right for the provider."""
    system_prompt: FreeText | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=MAX_OUTPUT_TOKENS)] | None = None
    response_schema: Schema | None = None
    """JSON Schema of the answer; None: the answer is text."""
    tools: Tools | None = None
    fallbacks: Annotated[list[ModelName], Field(max_length=10)] | None = None
    """Models to try, in this order, when one is unavailable."""
    timeout_s: Annotated[int, Field(ge=1, le=600)] = 120

    @field_validator("base_url")
    @classmethod
    def _is_of_a_provider_that_has_other_servers(cls, base_url: str | None, info: ValidationInfo) -> str | None:
        provider = info.data.get("provider")
        if base_url is not None and provider is not None and provider not in _OWN_SERVERS:
            raise ValueError(_NOT_OWN_SERVER)
        return base_url

    def to_document(self) -> Document:
        """What is stored: the fields that were given; null is the same as absent."""
        given = self.model_dump(mode="json", exclude_unset=True)
        return {name: value for name, value in given.items() if value is not None}


PROVIDERS_WITH_KEYS = ("openai", "anthropic")


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """A tenant's own key, and the one server that it is for."""

    provider: str
    api_key: str = field(repr=False)
    base_url: str | None = None
    """None: the provider's own server."""

    def to_document(self) -> dict[str, str]:
        """What the workers of the runs service read."""
        server = {} if self.base_url is None else {"base_url": self.base_url}
        return {"api_key": self.api_key, **server}


@dataclass(frozen=True, slots=True)
class Version:
    """A config that was published and will not change any more."""

    version: int
    config: Stored
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Agent:
    """A named configuration that can be run; one of its versions is live."""

    agent_id: str
    name: str
    description: str | None
    type: str
    project_id: str | None
    live_version: int
    live_config: Stored
    latest_version: int
    seq: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be written together."""

    agent: Agent
    events: tuple[Event[AgentEvent], ...]
    published: Version | None = None
    """A version that is new with this change."""
    joins_project: str | None = None
    """A project that the agent was not in before."""


@dataclass(frozen=True, slots=True)
class Description:
    """What people know an agent by."""

    name: str
    description: str | None
    project_id: str | None


def create_agent(
    tenant_id: str, agent_id: str, described: Description, *, agent_type: str, config: Stored, now: datetime
) -> Change:
    """A new agent, whose first version is live."""
    agent = Agent(
        agent_id=agent_id,
        name=described.name,
        description=described.description,
        type=agent_type,
        project_id=described.project_id,
        live_version=1,
        live_config=config,
        latest_version=1,
        seq=1,
        created_at=now,
        updated_at=now,
    )
    version = Version(1, config, created_at=now)
    events = (_said(AgentCreated, tenant_id, agent), _published(tenant_id, agent, version))
    return Change(agent, events, published=version, joins_project=described.project_id)


def describe_agent(tenant_id: str, agent: Agent, described: Description, *, now: datetime) -> Change:
    """The agent with another name, description or project."""
    changed = _described(agent, described, now=now)
    return Change(changed, (_said(AgentUpdated, tenant_id, changed),), joins_project=_joined(agent, changed))


def publish_version(
    tenant_id: str, agent: Agent, described: Description, *, config: Stored, live: bool, now: datetime
) -> Change:
    """The agent with one more version, and at the same time perhaps another name, description or project."""
    version = Version(agent.latest_version + 1, config, created_at=now)
    changed = replace(_described(agent, described, now=now), latest_version=version.version)
    if live:
        changed = replace(changed, live_version=version.version, live_config=config)
    said = _said(AgentAliasMoved if live else AgentUpdated, tenant_id, changed)
    events = (_published(tenant_id, changed, version), said)
    return Change(changed, events, published=version, joins_project=_joined(agent, changed))


def move_alias(tenant_id: str, agent: Agent, version: Version, *, now: datetime) -> Change:
    """The agent with this version live."""
    changed = replace(
        agent, live_version=version.version, live_config=version.config, seq=agent.seq + 1, updated_at=now
    )
    return Change(changed, (_said(AgentAliasMoved, tenant_id, changed),))


def leave_project(tenant_id: str, agent: Agent, *, now: datetime) -> Change:
    """The agent outside of any project."""
    return describe_agent(tenant_id, agent, replace(description_of(agent), project_id=None), now=now)


def delete_agent(tenant_id: str, agent: Agent, *, now: datetime) -> Event[AgentDeleted]:
    """What is to be said when the agent goes; its versions stay for the runs that were made with them."""
    return happened(
        AgentDeleted(agent_id=agent.agent_id),
        event_id=f"{agent.agent_id}:deleted",
        tenant_id=tenant_id,
        subject=agent.agent_id,
        seq=agent.seq + 1,
        at=now,
    )


def description_of(agent: Agent) -> Description:
    """What the agent is known by now."""
    return Description(agent.name, agent.description, agent.project_id)


def _described(agent: Agent, described: Description, *, now: datetime) -> Agent:
    return replace(
        agent,
        name=described.name,
        description=described.description,
        project_id=described.project_id,
        seq=agent.seq + 1,
        updated_at=now,
    )


def _joined(before: Agent, after: Agent) -> str | None:
    return after.project_id if after.project_id != before.project_id else None


def _said(kind: type[AgentState], tenant_id: str, agent: Agent) -> Event[AgentState]:
    """The full state of the agent after its change."""
    state = kind(
        agent_id=agent.agent_id,
        project_id=agent.project_id,
        live_version=agent.live_version,
        latest_version=agent.latest_version,
    )
    verb = kind.TYPE.split(".")[1]
    return happened(
        state,
        event_id=f"{agent.agent_id}:{agent.seq}:{verb}",
        tenant_id=tenant_id,
        subject=agent.agent_id,
        seq=agent.seq,
        at=agent.updated_at,
    )


def _published(tenant_id: str, agent: Agent, version: Version) -> Event[AgentVersionPublished]:
    subject = f"{agent.agent_id}:{version.version}"
    said = AgentVersionPublished(
        agent_id=agent.agent_id,
        version=version.version,
        config_key=version.config.key,
        config_sha256=version.config.sha256,
    )
    return happened(
        said, event_id=f"{subject}:published", tenant_id=tenant_id, subject=subject, seq=1, at=version.created_at
    )
