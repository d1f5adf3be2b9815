"""The schemas of requests that start, continue or cancel runs."""

from decimal import Decimal
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from services.runs.runs.domain.lifecycle import MAX_TOOL_CALLS
from services.runs.runs.domain.media import MAX_FILES, MAX_IMAGES, MAX_URL_CHARS, MediaKind, media_type_of
from shared.freejson import FreeText, Line
from shared.ids import pattern
from shared.model_settings import Seed, StopSequences, Temperature, ToolChoiceSetting, TopP
from shared.schema import DocumentedModel
from shared.template import MAX_VARIABLES, NAME
from shared.validation import FORM

VariableName = Annotated[str, Field(pattern=f"^{NAME}$")]
Text = Annotated[FreeText, Field(min_length=1)]
MAX_VERSION = 9_999_999
"""The sort key of an agent's version has seven digits."""


class TextPart(DocumentedModel):
    """A text in a message."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["text"]
    text: Text


def _readable_address(address: str) -> str:
    try:
        split = urlsplit(address)
        is_readable = split.scheme == "https" and split.hostname and split.username is None
    except ValueError:
        is_readable = False
    if not is_readable:
        msg = "must be an https address without a password"
        raise ValueError(msg)
    return address


Address = Annotated[Line, Field(max_length=MAX_URL_CHARS), AfterValidator(_readable_address)]
Data = Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9+/]+={0,2}$")]


class _MediaFields(DocumentedModel):
    """The source of an image or a file: its address, or its bytes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    KIND: ClassVar[MediaKind]

    url: Address | None = None
    """An https address that the provider reads. Some providers read none."""
    data: Data | None = None
    """The bytes in base64. A request has at most 1 MiB."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.url is None) == (self.data is None):
            msg = "give either url or data"
            raise ValueError(msg)
        if self.data is not None and (len(self.data) % 4 or media_type_of(self.KIND, self.data) is None):
            msg = f"data must be {_FORMATS[self.KIND]} in base64"
            raise ValueError(msg)
        return self


_FORMATS: dict[MediaKind, str] = {"image": "a PNG, JPEG, GIF or WebP image", "file": "a PDF file"}


class ImagePart(_MediaFields):
    """An image in a message: PNG, JPEG, GIF or WebP."""

    KIND: ClassVar = "image"

    type: Literal["image"]


class FilePart(_MediaFields):
    """A PDF file in a message."""

    KIND: ClassVar = "file"

    type: Literal["file"]
    name: Annotated[Line, Field(min_length=1, max_length=200)] | None = None
    """The name that the model reads, where its provider passes it on."""


def _have_text(parts: list[TextPart | ImagePart | FilePart]) -> list[TextPart | ImagePart | FilePart]:
    if not any(part.type == "text" for part in parts):
        msg = "at least one part must be a text"
        raise ValueError(msg)
    return parts


ContentPart = Annotated[TextPart | ImagePart | FilePart, Field(discriminator="type")]
Parts = Annotated[list[ContentPart], Field(min_length=1, max_length=100), AfterValidator(_have_text)]


def _form(content: object) -> str:
    return f"{FORM}parts" if isinstance(content, list) else f"{FORM}text"


Content = Annotated[
    Annotated[Text, Tag(f"{FORM}text")] | Annotated[Parts, Tag(f"{FORM}parts")],
    Discriminator(_form),
]


class ConversationMessage(DocumentedModel):
    """One message of a conversation."""

    model_config = ConfigDict(extra="forbid", strict=True)

    role: Literal["system", "user", "assistant"]
    """A `system` message adds to the agent's `system_prompt`. Some providers read all of them first."""
    content: Content
    """A text, or the parts of a user's message: texts, images and PDF files."""

    @model_validator(mode="after")
    def _only_users_send_parts(self) -> Self:
        if self.role != "user" and not isinstance(self.content, str):
            msg = "only a message of the user can have parts"
            raise ValueError(msg)
        return self


class NewRunInputs(DocumentedModel):
    """The inputs of a run: one message, or a conversation that ends with a user's message."""

    model_config = ConfigDict(extra="forbid", strict=True)

    message: Content | None = None
    """The user's message: a text, or texts, images and PDF files. Give either this or `messages`."""
    messages: Annotated[list[ConversationMessage], Field(min_length=1)] | None = None
    """A conversation; the last message is the user's."""
    variables: Annotated[dict[VariableName, FreeText], Field(max_length=MAX_VARIABLES)] | None = None
    """Values of the variables of the agent's prompt. They take precedence over those of the agent."""

    @model_validator(mode="after")
    def _few_media(self) -> Self:
        contents = [self.message, *(message.content for message in self.messages or ())]
        kinds = [part.type for content in contents if isinstance(content, list) for part in content]
        if kinds.count("image") > MAX_IMAGES or kinds.count("file") > MAX_FILES:
            msg = f"a run can have {MAX_IMAGES} images and {MAX_FILES} files"
            raise ValueError(msg)
        return self

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
    """The output cap of each call; the default is the config's."""
    max_cost_usd: Annotated[Decimal, Field(strict=False, gt=0, le=1_000_000, decimal_places=9)] | None = None
    """The maximum cost of all its calls together, in USD, by the config's `price`, otherwise by the provider's list
    price. A model without a known price is refused."""
    metadata: Annotated[dict[Line, FreeText], Field(max_length=50)] = Field(default_factory=dict)
    """Values for your own use. They do not reach the model, and the list of runs can be filtered by them."""


class RunPatch(DocumentedModel):
    """A change of a run."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"status": "cancelled"}]},
    )

    status: Literal["cancelled"]
    """The only change is a cancellation."""


class ToolOutput(DocumentedModel):
    """The output of one tool call."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tool_call_id: FreeText
    """The `id` of one of the run's `required_action.tool_calls`."""
    output: FreeText
    """The text that the model receives."""


class ToolOutputs(DocumentedModel):
    """The outputs of all tool calls that the run requires."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"tool_outputs": [{"tool_call_id": "call_1", "output": "18 °C"}]}]},
    )

    tool_outputs: Annotated[list[ToolOutput], Field(min_length=1, max_length=MAX_TOOL_CALLS)]
    """One output for each requested tool call."""
