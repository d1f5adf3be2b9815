"""Every route of the tenants service, with every status."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from services.tenants.api.application import app
from services.tenants.operations import tenants
from shared.http.token import seal
from shared.ids import pattern
from shared.plans import Plan
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.forged import forged_place
from tests.gateway import claims, request
from tests.services.tenants.acme import NOW, create
from tests.services.tenants.heard import subscription_changed

MINE = "/v1/tenants"
TENANT = "/v1/tenants/{tenant_id}"
PROJECTS = f"{TENANT}/projects"
PROJECT = f"{PROJECTS}/{{project_id}}"
UNKNOWN = "prj_01KAQ5YH5C9D1E3F5G7H9J1K3M"

pytestmark = pytest.mark.usefixtures("store")


@dataclass(frozen=True)
class Answered:
    """An answer, read."""

    status: int
    headers: Mapping[str, str]
    body: Any


def call(
    method: str,
    resource: str,
    *,
    tenant_id: str | None = "acme",
    project_id: str | None = None,
    role: Role = Role.DEVELOPER,
    of_tenant: str | None = "acme",
    body: object = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> Answered:
    """One request, by default of a developer of `acme`."""
    given = {"tenant_id": tenant_id, "project_id": project_id}
    answer = app(
        request(
            method,
            resource,
            path_parameters={name: value for name, value in given.items() if value is not None and name in resource},
            claims=claims(of_tenant, role=role),
            body=body,
            headers=headers,
            query=query,
        )
    )
    read = {name: ",".join(values) for name, values in answer["multiValueHeaders"].items()}
    return Answered(answer["statusCode"], read, json.loads(answer["body"]) if answer["body"] else None)


def suspend(store: Store, status: str) -> None:
    if status == "suspended":
        tenants.suspend_tenant(store, "acme", reason="Because", abuse=False, now=NOW)
    else:
        tenants.follow_subscription(store, subscription_changed("acme", suspended=True))


class TestTenant:
    def test_is_shown_to_those_who_belong_to_it(self) -> None:
        answer = call("GET", TENANT, role=Role.OBSERVER)
        assert (answer.status, answer.headers["ETag"]) == (200, '"1"')
        assert answer.body["tenant"] == {
            "tenant_id": "acme",
            "name": "Acme",
            "plan": "free",
            "status": "active",
            "suspended_by": None,
            "grace_until": None,
            "limits": {
                "max_users": 2,
                "max_projects": 2,
                "max_requests_per_month": 10,
                "max_tokens_per_month": 10,
                "max_storage_gb": 1,
                "max_concurrent_runs": 5,
                "enabled_features": ["agents"],
            },
            "current_usage": {
                "users": 0,
                "projects": 0,
                "storage_gb": 0,
                "monthly_requests": 0,
                "monthly_tokens": 0,
            },
            "overage": "block",
            "settings": {},
            "created_at": "2026-11-22T12:00:00.000Z",
            "updated_at": "2026-11-22T12:00:00.000Z",
        }

    def test_another_one_is_403_whether_it_exists_or_not(self, store: Store) -> None:
        tenants.create_tenant(store, "other", name="Other", plan=Plan.PRO, now=NOW)
        answers = [call("GET", TENANT, tenant_id=tenant_id) for tenant_id in ("other", "none")]
        assert [answer.status for answer in answers] == [403, 403]
        assert answers[0].body == answers[1].body

    def test_a_platform_admin_sees_every_one(self, store: Store) -> None:
        tenants.create_tenant(store, "other", name="Other", plan=Plan.PRO, now=NOW)
        answer = call("GET", TENANT, tenant_id="other", role=Role.PLATFORM_ADMIN, of_tenant=None)
        assert (answer.status, answer.body["tenant"]["name"]) == (200, "Other")

    def test_one_that_does_not_exist_is_404_for_a_platform_admin(self) -> None:
        assert call("GET", TENANT, tenant_id="none", role=Role.PLATFORM_ADMIN, of_tenant=None).status == 404

    @pytest.mark.parametrize("status", ["suspended", "suspended_by_billing"])
    def test_a_suspended_one_says_so(self, store: Store, status: str) -> None:
        suspend(store, status)
        assert call("GET", TENANT).body["tenant"]["status"] == "suspended"

    def test_mine_is_a_list_of_one(self) -> None:
        answer = call("GET", MINE, tenant_id=None, role=Role.OBSERVER)
        assert [tenant["tenant_id"] for tenant in answer.body["tenants"]] == ["acme"]
        assert answer.body["pagination"] == {"nextToken": None, "hasMore": False}

    def test_a_platform_admin_has_none(self) -> None:
        assert call("GET", MINE, tenant_id=None, role=Role.PLATFORM_ADMIN, of_tenant=None).status == 403


class TestListProjects:
    def test_an_empty_list_is_exactly_this(self) -> None:
        answer = call("GET", PROJECTS, role=Role.OBSERVER)
        assert answer.status == 200
        assert answer.body.pop("requestId")
        assert answer.body == {"projects": [], "pagination": {"nextToken": None, "hasMore": False}}

    def test_pages_go_on_newest_first(self, store: Store) -> None:
        create(store, "1")
        create(store, "2")
        first = call("GET", PROJECTS, query={"limit": "1"}).body
        second = call("GET", PROJECTS, query={"limit": "1", "next_token": first["pagination"]["nextToken"]}).body
        assert [project["name"] for project in first["projects"] + second["projects"]] == ["2", "1"]
        assert (first["pagination"]["hasMore"], second["pagination"]["hasMore"]) == (True, False)

    @pytest.mark.parametrize(
        ("query", "status"),
        [({"limit": "0"}, 422), ({"limit": "101"}, 422), ({"colour": "red"}, 422), ({"next_token": "garbage"}, 400)],
    )
    def test_what_is_not_valid_is_refused(self, query: dict[str, str], status: int) -> None:
        assert call("GET", PROJECTS, query=query).status == status

    def test_a_token_of_another_tenant_is_400(self, store: Store) -> None:
        create(store, "1")
        create(store, "2")
        tenants.create_tenant(store, "other", name="Other", plan=Plan.PRO, now=NOW)
        token = call("GET", PROJECTS, query={"limit": "1"}).body["pagination"]["nextToken"]
        answer = call("GET", PROJECTS, tenant_id="other", of_tenant="other", query={"next_token": token})
        assert answer.status == 400


class TestCreateProject:
    def test_is_201_with_where_it_is(self) -> None:
        answer = call("POST", PROJECTS, body={"name": "One", "description": "It"})
        project = answer.body["project"]
        assert answer.status == 201
        assert answer.headers["Location"] == f"/v1/tenants/acme/projects/{project['project_id']}"
        assert answer.headers["ETag"] == '"1"'
        assert (project["name"], project["description"]) == ("One", "It")
        assert set(project) == {"project_id", "name", "description", "created_at", "updated_at"}
        assert call("GET", PROJECT, project_id=project["project_id"]).body["project"] == project

    def test_has_an_id_of_ours(self) -> None:
        project = call("POST", PROJECTS, body={"name": "One"}).body["project"]
        assert re.fullmatch(pattern("prj"), project["project_id"])

    def test_at_the_limit_is_409(self, store: Store) -> None:
        create(store, "1")
        create(store, "2")
        answer = call("POST", PROJECTS, body={"name": "Three"})
        assert (answer.status, answer.body["error"]) == (409, "LimitReached")
        assert "resets_at" not in answer.body

    @pytest.mark.parametrize("role", [Role.ANALYST, Role.OBSERVER])
    def test_needs_a_developer(self, role: Role) -> None:
        assert call("POST", PROJECTS, role=role, body={"name": "One"}).status == 403

    @pytest.mark.parametrize(
        "body",
        [{}, {"name": ""}, {"name": "x" * 201}, {"name": 1}, {"name": "x", "description": "x" * 2_001}, {"colour": 1}],
    )
    def test_what_is_not_valid_is_422(self, body: dict[str, Any]) -> None:
        assert call("POST", PROJECTS, body=body).status == 422

    @pytest.mark.parametrize(("status", "code"), [("suspended", 403), ("suspended_by_billing", 402)])
    def test_in_a_suspended_tenant_is_refused(self, store: Store, status: str, code: int) -> None:
        suspend(store, status)
        assert call("POST", PROJECTS, body={"name": "One"}).status == code

    def test_sent_twice_is_done_once(self) -> None:
        key = {"Idempotency-Key": "key-1"}
        first = call("POST", PROJECTS, body={"name": "One"}, headers=key)
        second = call("POST", PROJECTS, body={"name": "One"}, headers=key)
        assert (first.status, first.body) == (second.status, second.body)
        assert second.headers["Idempotent-Replayed"] == "true"
        assert len(call("GET", PROJECTS).body["projects"]) == 1

    def test_the_key_with_another_body_is_422(self) -> None:
        key = {"Idempotency-Key": "key-1"}
        call("POST", PROJECTS, body={"name": "One"}, headers=key)
        answer = call("POST", PROJECTS, body={"name": "Two"}, headers=key)
        assert (answer.status, answer.body["error"]) == (422, "IdempotencyKeyReused")


class TestGetProject:
    def test_is_shown(self, store: Store) -> None:
        create(store, "1")
        answer = call("GET", PROJECT, project_id="prj_1", role=Role.OBSERVER)
        assert (answer.status, answer.headers["ETag"]) == (200, '"1"')
        assert answer.body["project"]["name"] == "1"

    @pytest.mark.parametrize("project_id", [UNKNOWN, "x", "prj_1#", "%00"])
    def test_one_that_does_not_exist_is_404(self, project_id: str) -> None:
        assert call("GET", PROJECT, project_id=project_id).status == 404

    def test_one_of_another_tenant_is_404(self, store: Store) -> None:
        create(store, "1")
        tenants.create_tenant(store, "other", name="Other", plan=Plan.PRO, now=NOW)
        assert call("GET", PROJECT, project_id="prj_1", tenant_id="other", of_tenant="other").status == 404


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
class TestChangeProject:
    @pytest.mark.parametrize(
        ("body", "name", "description"),
        [
            ({"name": "New"}, "New", "It"),
            ({"description": "Other"}, "1", "Other"),
            ({"description": ""}, "1", ""),
            ({"description": None}, "1", None),
            ({}, "1", "It"),
        ],
    )
    def test_merges(self, store: Store, method: str, body: object, name: str, description: str | None) -> None:
        create(store, "1")
        answer = call(method, PROJECT, project_id="prj_1", body=body)
        project = answer.body["project"]
        assert (answer.status, answer.headers["ETag"]) == (200, '"2"')
        assert (project["name"], project["description"]) == (name, description)

    @pytest.mark.parametrize("body", [{"name": ""}, {"name": None}, {"description": 5}, {"project_id": "x"}])
    def test_what_is_not_valid_is_422(self, store: Store, method: str, body: object) -> None:
        create(store, "1")
        assert call(method, PROJECT, project_id="prj_1", body=body).status == 422

    def test_a_stale_one_is_412(self, store: Store, method: str) -> None:
        create(store, "1")
        answer = call(method, PROJECT, project_id="prj_1", body={"name": "x"}, headers={"If-Match": '"7"'})
        assert (answer.status, answer.body["error"]) == (412, "PreconditionFailed")

    def test_one_that_does_not_exist_is_404(self, method: str) -> None:
        assert call(method, PROJECT, project_id=UNKNOWN, body={"name": "x"}).status == 404

    def test_needs_a_developer(self, method: str) -> None:
        assert call(method, PROJECT, project_id=UNKNOWN, role=Role.ANALYST, body={"name": "x"}).status == 403


class TestDeleteProject:
    def test_is_204_and_then_404(self, store: Store) -> None:
        create(store, "1")
        answers = [call("DELETE", PROJECT, project_id="prj_1") for _ in range(2)]
        assert [(answer.status, answer.body is None) for answer in answers] == [(204, True), (404, False)]

    def test_a_stale_one_is_412(self, store: Store) -> None:
        create(store, "1")
        assert call("DELETE", PROJECT, project_id="prj_1", headers={"If-Match": '"7"'}).status == 412

    def test_needs_a_developer(self) -> None:
        assert call("DELETE", PROJECT, project_id=UNKNOWN, role=Role.OBSERVER).status == 403


class TestForgedTokens:
    @forged_place
    @pytest.mark.parametrize("name", ["projects", "users", "audit"])
    def test_each_list_refuses_each(self, name: str, place: str) -> None:
        query = {"next_token": seal(place, "acme", name)}
        assert call("GET", f"{TENANT}/{name}", role=Role.TENANT_ADMIN, query=query).status == 400
