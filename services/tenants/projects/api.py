"""HTTP API of projects."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from services.tenants import wiring
from services.tenants.projects import domain, operations
from services.tenants.projects.schemas import NewProject, Project, ProjectPatch, ProjectResponse, ProjectsResponse
from services.tenants.projects.table import ProjectTable
from shared.http.call import Caller, CurrentCall
from shared.http.pagination import PageQuery, cursor_of, page_after
from shared.http.responses import created, no_content, ok
from shared.http.router import Router
from shared.ids import VISIBLE, new_id
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Role

router = Router()

_PROJECTS = "/v1/tenants/{tenant_id}/projects"
_PROJECT = f"{_PROJECTS}/{{project_id}}"


@router.route("GET", _PROJECTS, min_role=Role.OBSERVER)
def list_projects(caller: Caller, query: Annotated[PageQuery, Query()]) -> Response[ProjectsResponse]:
    """List projects, newest first."""
    after = cursor_of(query.token, caller.tenant_id, "projects", form=f"prj_{VISIBLE}")
    projects, next_cursor = ProjectTable(wiring.tenant_store(), caller.tenant_id).page(limit=query.limit, after=after)
    return ok(
        ProjectsResponse(
            projects=[Project.model_validate(project) for project in projects],
            pagination=page_after(next_cursor, caller.tenant_id, "projects"),
        )
    )


def _replay_created(caller: TenantContext, project_id: str) -> Response[ProjectResponse]:
    return _created_response(caller, ProjectTable(wiring.tenant_store(), caller.tenant_id).get(project_id))


@router.route("POST", _PROJECTS, min_role=Role.DEVELOPER, statuses=(201,), replay=_replay_created)
def create_project(caller: Caller, call: CurrentCall, body: Annotated[NewProject, Body()]) -> Response[ProjectResponse]:
    """Create a project."""
    project = operations.create_project(
        wiring.tenant_store(),
        caller.tenant_id,
        project_id=new_id("prj", call.now),
        name=body.name,
        description=body.description,
        now=call.now,
        idempotency_key=call.idempotency_key,
    )
    return _created_response(caller, project)


@router.route("GET", _PROJECT, min_role=Role.OBSERVER)
def get_project(caller: Caller, project_id: str) -> Response[ProjectResponse]:
    """Get a project."""
    return _project_response(ProjectTable(wiring.tenant_store(), caller.tenant_id).get(project_id))


@router.route("PATCH", _PROJECT, min_role=Role.DEVELOPER)
@router.route("PUT", _PROJECT, min_role=Role.DEVELOPER, documented=False)
def update_project(
    caller: Caller, call: CurrentCall, project_id: str, body: Annotated[ProjectPatch, Body()]
) -> Response[ProjectResponse]:
    """Change a project's name or description."""
    change = operations.ProjectChange(
        name=body.name or None,
        description=body.description,
        clears_description="description" in body.model_fields_set and body.description is None,
    )
    return _project_response(
        operations.change_project(
            wiring.tenant_store(), caller.tenant_id, project_id, change, now=call.now, if_match=call.if_match
        )
    )


@router.route("DELETE", _PROJECT, min_role=Role.DEVELOPER, statuses=(204,))
def delete_project(caller: Caller, call: CurrentCall, project_id: str) -> Response[None]:
    """Delete a project. Its agents remain, without a project."""
    operations.delete_project(wiring.tenant_store(), caller.tenant_id, project_id, now=call.now, if_match=call.if_match)
    return no_content()


def _project_response(project: domain.Project) -> Response[ProjectResponse]:
    return ok(ProjectResponse(project=Project.model_validate(project)), etag=project.seq)


def _created_response(caller: TenantContext, project: domain.Project) -> Response[ProjectResponse]:
    return created(
        ProjectResponse(project=Project.model_validate(project)),
        location=_PROJECT.format(tenant_id=caller.tenant_id, project_id=project.project_id),
        etag=project.seq,
    )
