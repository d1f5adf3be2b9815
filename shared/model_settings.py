"""The settings of calls to models, which the configs of agents and the requests for runs have in common."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from shared.freejson import FreeText
from shared.schema import DocumentedModel, SparseModel
from shared.validation import FORM


class NamedTool(DocumentedModel):
    """The choice of one tool."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tool: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    """The name of a tool of the config."""


def _form(choice: object) -> str:
    return f"{FORM}tool" if isinstance(choice, Mapping | NamedTool) else f"{FORM}name"


ToolChoiceSetting = Annotated[
    Annotated[Literal["auto", "none", "required"], Tag(f"{FORM}name")] | Annotated[NamedTool, Tag(f"{FORM}tool")],
    Discriminator(_form),
]
StopSequences = Annotated[list[Annotated[FreeText, Field(min_length=1, max_length=200)]], Field(max_length=4)]
Temperature = Annotated[float, Field(ge=0, le=2)]
TopP = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


class RunParameters(SparseModel):
    """The parameters in the request of the run, which replace those of the config."""

    temperature: float = Field(default_factory=float)
    top_p: float = Field(default_factory=float)
    stop: list[str] = Field(default_factory=list)
    seed: int = Field(default_factory=int)
    tool_choice: ToolChoiceSetting = Field(default_factory=lambda: "auto")
    parallel_tool_calls: bool = Field(default_factory=bool)
