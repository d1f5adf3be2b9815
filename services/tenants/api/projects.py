"""Projects."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import BaseModel, ConfigDict, Field

from services.tenants import wiring
from services.tenants.api.application import TENANT, app
from services.tenants.api.shapes import Name
from services.tenants.domain import project as domain
from services.tenants.operations import projects as operations
from services.tenants.table import projects as table
from shared.http.answers import Answer, ListAnswer, created, no_content, ok
from shared.http.call import Caller, CurrentCall
from shared.http.pagination import PageQuery, page_after, place_of
from shared.ids import VISIBLE, new_id
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Role
from shared.times import Rfc3339

_PROJECTS = f"{TENANT}/projects"
_PROJECT = f"{_PROJECTS}/{{project_id}}"

Description = Annotated[str, Field(max_length=2_000)]


class Project(BaseModel):
    """A folder of agents."""

    model_config = ConfigDict(from_attributes=True)

    project_id: str
    name: str
    description: str | None
    created_at: Rfc3339
    updated_at: Rfc3339


class NewProject(BaseModel):
    """What to create."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name
    description: Description | None = None


class ProjectPatch(BaseModel):
    """What to change; what is absent stays (RFC 7396)."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name = ""
    description: Description | None = None


class ProjectAnswer(Answer):
    """One project."""

    project: Project


class ProjectsAnswer(ListAnswer):
    """A page of projects, newest first."""

    projects: list[Project]


@app.route("GET", _PROJECTS, least=Role.OBSERVER)
def list_projects(caller: Caller, query: Annotated[PageQuery, Query()]) -> Response[ProjectsAnswer]:
    """Projects, newest first."""
    after = place_of(query.token, caller.tenant_id, "projects", form=f"prj_{VISIBLE}")
    projects, place = table.list_projects(wiring.tenant_store(), caller.tenant_id, limit=query.limit, after=after)
    return ok(
        ProjectsAnswer(
            projects=[Project.model_validate(project) for project in projects],
            pagination=page_after(place, caller.tenant_id, "projects"),
        )
    )


def _show_created(caller: TenantContext, project_id: str) -> Response[ProjectAnswer]:
    return _created(caller, table.get_project(wiring.tenant_store(), caller.tenant_id, project_id))


@app.route("POST", _PROJECTS, least=Role.DEVELOPER, statuses=(201,), replay=_show_created)
def create_project(caller: Caller, call: CurrentCall, body: Annotated[NewProject, Body()]) -> Response[ProjectAnswer]:
    """Create a project."""
    project = operations.create_project(
        wiring.tenant_store(),
        caller.tenant_id,
        project_id=new_id("prj", call.now),
        name=body.name,
        description=body.description,
        now=call.now,
        once=call.once,
    )
    return _created(caller, project)


@app.route("GET", _PROJECT, least=Role.OBSERVER)
def get_project(caller: Caller, project_id: str) -> Response[ProjectAnswer]:
    """One project."""
    return _shown(table.get_project(wiring.tenant_store(), caller.tenant_id, project_id))


@app.route("PATCH", _PROJECT, least=Role.DEVELOPER)
@app.route("PUT", _PROJECT, least=Role.DEVELOPER)
def change_project(
    caller: Caller, call: CurrentCall, project_id: str, body: Annotated[ProjectPatch, Body()]
) -> Response[ProjectAnswer]:
    """Change a project's name or description."""
    change = operations.ProjectChange(
        name=body.name or None,
        description=body.description,
        clears_description="description" in body.model_fields_set and body.description is None,
    )
    return _shown(
        operations.change_project(
            wiring.tenant_store(), caller.tenant_id, project_id, change, now=call.now, if_match=call.if_match
        )
    )


@app.route("DELETE", _PROJECT, least=Role.DEVELOPER, statuses=(204,))
def delete_project(caller: Caller, call: CurrentCall, project_id: str) -> Response[None]:
    """Delete a project; its agents stay, outside of any project."""
    operations.delete_project(wiring.tenant_store(), caller.tenant_id, project_id, now=call.now, if_match=call.if_match)
    return no_content()


def _shown(project: domain.Project) -> Response[ProjectAnswer]:
    return ok(ProjectAnswer(project=Project.model_validate(project)), etag=project.seq)


def _created(caller: TenantContext, project: domain.Project) -> Response[ProjectAnswer]:
    return created(
        ProjectAnswer(project=Project.model_validate(project)),
        location=_PROJECT.format(tenant_id=caller.tenant_id, project_id=project.project_id),
        etag=project.seq,
    )
