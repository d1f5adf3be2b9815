"""Request and response models of projects."""

from typing import Annotated

from pydantic import ConfigDict, Field

from shared.freejson import FreeText, Line
from shared.http.responses import ListResponse, ResponseBody
from shared.schema import DocumentedModel
from shared.times import Rfc3339

Name = Annotated[Line, Field(min_length=1, max_length=200)]
Description = Annotated[FreeText, Field(max_length=2_000)]


class Project(DocumentedModel):
    """A project: a folder of agents."""

    model_config = ConfigDict(from_attributes=True)

    project_id: str
    name: str
    description: str | None
    created_at: Rfc3339
    updated_at: Rfc3339


class NewProject(DocumentedModel):
    """The request to create a project."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"name": "Support", "description": "Answers for customers"}]},
    )

    name: Name
    description: Description | None = None


class ProjectPatch(DocumentedModel):
    """A JSON merge patch (RFC 7396) of a project. Absent fields do not change."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"name": "Support, second line"}]},
    )

    name: Name = Field(default_factory=str)
    description: Description | None = None
    """Null removes the description."""


class ProjectResponse(ResponseBody):
    """The response with one project."""

    project: Project


class ProjectsResponse(ListResponse):
    """A page of projects, newest first."""

    projects: list[Project]
