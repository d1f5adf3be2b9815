"""The schemas of requests that start, continue or cancel runs."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from services.runs.runs.domain.lifecycle import MAX_TOOL_CALLS
from shared.freejson import FreeText, Line
from shared.ids import pattern
from shared.model_settings import Seed, StopSequences, Temperature, ToolChoiceSetting, TopP
from shared.schema import DocumentedModel

Text = Annotated[FreeText, Field(min_length=1)]
MAX_VERSION = 9_999_999
"""The sort key of an agent's version has seven digits."""


class ConversationMessage(DocumentedModel):
    """One message of a conversation."""

    model_config = ConfigDict(extra="forbid", strict=True)

    role: Literal["system", "user", "assistant"]
    """A message of the system adds to the agent's `system_prompt`. Some providers read all of them first."""
    content: Text


class NewRunInputs(DocumentedModel):
    """The inputs of a run: one message, or a conversation that ends with a user's message."""

    model_config = ConfigDict(extra="forbid", strict=True)

    message: Text | None = None
    messages: Annotated[list[ConversationMessage], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.message is None) == (self.messages is None):
            msg = "give either message or messages"
            raise ValueError(msg)
        if self.messages and self.messages[-1].role != "user":
            msg = "the last message must be the user's"
            raise ValueError(msg)
        return self


class NewRunParameters(DocumentedModel):
    """Parameters of the model for this run. Each one replaces the config's; null or absent keeps it.

    A parameter that the model or its API does not support is left out of the call, with a warning in the run.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    temperature: Temperature | None = None
    top_p: TopP | None = None
    stop: StopSequences | None = None
    """At most four texts before which the output ends. An empty list removes those of the config."""
    seed: Seed | None = None
    """Makes the output more repeatable, where the provider supports it."""
    tool_choice: ToolChoiceSetting | None = None
    """The tools that the model may or must call. A forced choice applies until the first tool output, so that the run
    can end."""
    parallel_tool_calls: bool | None = None
    """False limits each turn to one tool call."""


class NewRun(DocumentedModel):
    """A request to create a run."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {"agent_id": "agt_01KATM3XW8P5Q7E9R2T4Y6V1ZB", "inputs": {"message": "Hello, world! This is a test."}}
            ]
        },
    )

    agent_id: Annotated[str, Field(pattern=pattern("agt"))]
    version: Annotated[int, Field(ge=1, le=MAX_VERSION)] | None = None
    """The default is the live version."""
    inputs: NewRunInputs
    parameters: NewRunParameters = Field(default_factory=NewRunParameters)
    max_output_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_cost_usd: Annotated[Decimal, Field(strict=False, gt=0, le=1_000_000, decimal_places=9)] | None = None
    """The maximum cost of all its calls together, by the providers' list prices."""
    metadata: Annotated[dict[Line, FreeText], Field(max_length=50)] = Field(default_factory=dict)


class RunPatch(DocumentedModel):
    """A change of a run."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"status": "cancelled"}]},
    )

    status: Literal["cancelled"]


class ToolOutput(DocumentedModel):
    """The output of one tool call."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tool_call_id: FreeText
    output: FreeText


class ToolOutputs(DocumentedModel):
    """The outputs of all tool calls that the run requires."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"tool_outputs": [{"tool_call_id": "call_1", "output": "18 °C"}]}]},
    )

    tool_outputs: Annotated[list[ToolOutput], Field(min_length=1, max_length=MAX_TOOL_CALLS)]
