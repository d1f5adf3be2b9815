"""Request and response models of differences."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from shared.http.responses import ResponseBody
from shared.schema import DocumentedModel


class DiffQuery(DocumentedModel):
    """The version to compare with."""

    model_config = ConfigDict(extra="forbid")

    against: Annotated[int, Field(ge=1)]
    """The version that the difference starts from."""


class VersionDiff(DocumentedModel):
    """The changes from one version to another."""

    version: int
    against: int
    text: str
    """The unified diff of the prompt; empty if it is the same."""
    patch: list[dict[str, Any]]
    """The JSON Patch (RFC 6902) that changes the document of `against` into that of `version`."""


class VersionDiffResponse(ResponseBody):
    """The response with one difference."""

    diff: VersionDiff
