"""Request and response models of agents and versions."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, JsonValue

from services.agents.agents import domain
from services.agents.agents.domain import AgentConfig, LintIgnore
from services.agents.lint_rules.schemas import LintSummary
from shared.freejson import FreeText, Line
from shared.http.responses import ListResponse, ResponseBody
from shared.ids import pattern
from shared.model_settings import ToolChoiceSetting
from shared.schema import DocumentedModel, SparseModel
from shared.times import Rfc3339

Name = Annotated[Line, Field(min_length=1, max_length=200)]
DescriptionText = Annotated[FreeText, Field(max_length=2_000)]
ProjectId = Annotated[str, Field(pattern=pattern("prj"))]


class AgentSummary(DocumentedModel):
    """An agent in a list."""

    agent_id: str
    name: str
    description: str | None
    type: str
    """Always `conversational`."""
    project_id: str | None
    """Null if the agent belongs to no project."""
    version: int
    """The live version."""
    latest_version: int
    """The highest version number, which need not be live."""
    created_at: Rfc3339
    updated_at: Rfc3339

    @classmethod
    def of(cls, agent: domain.Agent) -> Self:
        """Return the response body of an agent, without its config."""
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


class PublishedTool(SparseModel):
    """A function that the client executes when the model asks for it."""

    name: str
    description: str = ""
    """The text from which the model learns when to call the tool."""
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    """The JSON Schema of its arguments."""


class PublishedPrice(SparseModel):
    """The tenant's own price of the model, in USD for one million tokens, as exact text."""

    input_per_million_usd: str = ""
    output_per_million_usd: str = ""
    cache_read_per_million_usd: str = ""
    """Input that is read from the cache; absent for the price of other input."""
    cache_write_per_million_usd: str = ""
    """Input that is written to the cache; absent for the price of other input."""


class PublishedPromptReference(SparseModel):
    """A stored prompt as the system prompt."""

    prompt_id: str
    version: int = Field(default_factory=int)
    """Absent: the version that is live when a run is submitted."""
    variables: dict[str, str] = Field(default_factory=dict)


class PublishedConfig(SparseModel):
    """The configuration of a version. It has the fields that were given when it was published."""

    provider: str = ""
    """Absent if the model's name selects the provider."""
    model: str
    base_url: str = ""
    """The URL of a server that is compatible with OpenAI or Anthropic."""
    api: str = ""
    """The API that the server implements."""
    system_prompt: str | PublishedPromptReference = ""
    """The text, or a stored prompt."""
    temperature: float = Field(default_factory=float)
    """From 0 to 2."""
    top_p: float = Field(default_factory=float)
    """Above 0, up to 1."""
    stop: list[str] = Field(default_factory=list)
    """Stop sequences: output ends before the first match."""
    seed: int = Field(default_factory=int)
    """Makes the output more repeatable, where the provider supports it."""
    max_output_tokens: int = Field(default_factory=int)
    """The output cap of each call; the default is 4,096."""
    response_schema: dict[str, JsonValue] = Field(default_factory=dict)
    """The JSON Schema of the response."""
    tools: list[PublishedTool] = Field(default_factory=list)
    tool_choice: ToolChoiceSetting = Field(default_factory=lambda: "auto")
    """The tools that the model may or must call; the default is `auto`."""
    parallel_tool_calls: bool = Field(default_factory=bool)
    """False limits each turn to one tool call."""
    fallbacks: list[str] = Field(default_factory=list)
    """Models that are tried in this order when one is unavailable."""
    timeout_s: int = Field(default_factory=int)
    """The maximum duration of a call; the default is 120 seconds."""
    image_tokens: int = Field(default_factory=int)
    """The most input tokens of one image."""
    file_tokens: int = Field(default_factory=int)
    """The most input tokens of one PDF file."""
    price: PublishedPrice = Field(default_factory=PublishedPrice.model_construct)
    """The tenant's own price of `model`; absent for the provider's list price."""
    lint_ignore: list[LintIgnore] = Field(default_factory=list)
    """Findings of the linter that are no problem here."""


class Agent(AgentSummary):
    """An agent with its live config."""

    config: PublishedConfig
    """The config of the live version."""


class AgentVersionSummary(DocumentedModel):
    """A version in a list."""

    version: int
    live: bool
    """Whether new runs use this version."""
    created_at: Rfc3339


class AgentVersion(AgentVersionSummary):
    """An immutable version with its config."""

    config: PublishedConfig


class NewAgent(DocumentedModel):
    """The request to create an agent."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "name": "Test Agent",
                    "description": "A test agent for usage metering",
                    "type": "conversational",
                    "config": {"model": "gpt-5.2", "system_prompt": "You are a helpful assistant."},
                }
            ]
        },
    )

    name: Name
    description: DescriptionText | None = None
    type: Literal["conversational"]
    project_id: ProjectId | None = None
    config: AgentConfig
    """The config of version 1, which goes live."""


class AgentPatch(DocumentedModel):
    """A JSON merge patch (RFC 7396) of an agent. The config is not merged: it is published as a whole and goes live."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"name": "Support Agent"}]},
    )

    name: Name = Field(default_factory=str)
    description: DescriptionText | None = None
    """Null removes the description."""
    project_id: ProjectId | None = None
    """Null removes the agent from its project."""
    config: AgentConfig = Field(default_factory=AgentConfig.model_construct)
    """The whole config of a new version, which goes live."""


class NewAgentVersion(DocumentedModel):
    """The request to publish a version."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {"config": {"model": "gpt-5.2", "system_prompt": "You are a helpful assistant."}, "live": True}
            ]
        },
    )

    config: AgentConfig
    live: bool = False
    """Whether the version goes live at once."""


class LiveVersion(DocumentedModel):
    """The request to make a version live."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"version": 1}]},
    )

    version: Annotated[int, Field(ge=1)]
    """The version that new runs will use."""


class AgentResponse(ResponseBody):
    """The response with one agent."""

    agent: Agent
    lint: LintSummary | None = None
    """The findings of the version that this request has made live; null if no version went live or the gate is off."""


class AgentsResponse(ListResponse):
    """A page of agents, newest first."""

    agents: list[AgentSummary]


class AgentVersionResponse(ResponseBody):
    """The response with one version."""

    version: AgentVersion
    lint: LintSummary | None = None
    """The findings of the version that this request has made live; null if no version went live or the gate is off."""


class AgentVersionsResponse(ListResponse):
    """A page of versions, newest first."""

    versions: list[AgentVersionSummary]
