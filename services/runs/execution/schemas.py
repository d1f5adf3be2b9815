"""The schemas of requests that start, continue or cancel runs."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from services.runs.runs.domain.lifecycle import MAX_TOOL_CALLS
from shared.freejson import FreeText, Line
from shared.ids import pattern
from shared.schema import DocumentedModel
from shared.template import MAX_VARIABLES, NAME

VariableName = Annotated[str, Field(pattern=f"^{NAME}$")]
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
    variables: Annotated[dict[VariableName, FreeText], Field(max_length=MAX_VARIABLES)] | None = None
    """Values of the variables of the agent's prompt. They take precedence over those of the agent."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.message is None) == (self.messages is None):
            msg = "give either message or messages"
            raise ValueError(msg)
        if self.messages and self.messages[-1].role != "user":
            msg = "the last message must be the user's"
            raise ValueError(msg)
        return self


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
