"""The routes of projects, with every status."""

import re
from typing import Any

import pytest

from services.tenants.tenants import operations as tenants
from shared.ids import pattern
from shared.plans import Plan
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.services.tenants import client
from tests.services.tenants.acme import NOW, create
from tests.services.tenants.client import TenantsApiResponse
from tests.services.tenants.received import subscription_changed

MINE = "/v1/tenants"
TENANT = "/v1/tenants/{tenant_id}"
PROJECTS = f"{TENANT}/projects"
PROJECT = f"{PROJECTS}/{{project_id}}"
UNKNOWN = "prj_01KAQ5YH5C9D1E3F5G7H9J1K3M"

pytestmark = pytest.mark.usefixtures("store")


def call(method: str, resource: str, *, role: Role = Role.DEVELOPER, **options: Any) -> TenantsApiResponse:  # noqa: ANN401 — those of `client.call`
    """Send a request, by default as a developer of `acme`."""
    return client.call(method, resource, role=role, **options)


def suspend(store: Store, status: str) -> None:
    if status == "suspended":
        tenants.suspend_tenant(store, "acme", reason="Because", abuse=False, now=NOW)
    else:
        tenants.apply_subscription(store, subscription_changed("acme", suspended=True))


@pytest.mark.report(26)
@pytest.mark.parametrize("name", ["a\0b", "a\nb", "\x1b[2J", "\u202eb"], ids=ascii)
def test_names_have_no_control_characters(name: str) -> None:
    answer = call("POST", PROJECTS, body={"name": name})
    assert answer.error == (422, "ValidationFailed")
    assert answer.body["details"] == [{"field": "name", "message": "must not contain control characters"}]


class TestListProjects:
    def test_returns_an_empty_page(self) -> None:
        answer = call("GET", PROJECTS, role=Role.OBSERVER)
        assert answer.status == 200
        assert answer.body.pop("requestId")
        assert answer.body == {"projects": [], "pagination": {"nextToken": None, "hasMore": False}}

    def test_pages_are_newest_first(self, store: Store) -> None:
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
    def test_refuses_invalid_input(self, query: dict[str, str], status: int) -> None:
        assert call("GET", PROJECTS, query=query).status == status

    def test_refuses_a_token_of_another_tenant(self, store: Store) -> None:
        create(store, "1")
        create(store, "2")
        tenants.create_tenant(store, "other", name="Other", plan=Plan.PRO, now=NOW)
        token = call("GET", PROJECTS, query={"limit": "1"}).body["pagination"]["nextToken"]
        answer = call("GET", PROJECTS, tenant_id="other", of_tenant="other", query={"next_token": token})
        assert answer.status == 400


class TestCreateProject:
    def test_returns_201_with_the_location(self) -> None:
        answer = call("POST", PROJECTS, body={"name": "One", "description": "It"})
        project = answer.body["project"]
        assert answer.status == 201
        assert answer.headers["Location"] == f"/v1/tenants/acme/projects/{project['project_id']}"
        assert answer.headers["ETag"] == '"1"'
        assert (project["name"], project["description"]) == ("One", "It")
        assert set(project) == {"project_id", "name", "description", "created_at", "updated_at"}
        assert call("GET", PROJECT, project_id=project["project_id"]).body["project"] == project

    def test_has_a_project_id(self) -> None:
        project = call("POST", PROJECTS, body={"name": "One"}).body["project"]
        assert re.fullmatch(pattern("prj"), project["project_id"])

    def test_returns_409_at_the_limit(self, store: Store) -> None:
        create(store, "1")
        create(store, "2")
        answer = call("POST", PROJECTS, body={"name": "Three"})
        assert (answer.status, answer.body["error"]) == (409, "LimitReached")
        assert "resets_at" not in answer.body

    @pytest.mark.parametrize("role", [Role.ANALYST, Role.OBSERVER])
    def test_requires_a_developer(self, role: Role) -> None:
        assert call("POST", PROJECTS, role=role, body={"name": "One"}).status == 403

    @pytest.mark.parametrize(
        "body",
        [{}, {"name": ""}, {"name": "x" * 201}, {"name": 1}, {"name": "x", "description": "x" * 2_001}, {"colour": 1}],
    )
    def test_returns_422_for_an_invalid_request(self, body: dict[str, Any]) -> None:
        assert call("POST", PROJECTS, body=body).status == 422

    @pytest.mark.parametrize(("status", "code"), [("suspended", 403), ("suspended_by_billing", 402)])
    def test_refuses_changes_in_a_suspended_tenant(self, store: Store, status: str, code: int) -> None:
        suspend(store, status)
        assert call("POST", PROJECTS, body={"name": "One"}).status == code

    def test_executes_a_repeated_request_once(self) -> None:
        key = {"Idempotency-Key": "key-1"}
        first = call("POST", PROJECTS, body={"name": "One"}, headers=key)
        second = call("POST", PROJECTS, body={"name": "One"}, headers=key)
        assert (first.status, first.body) == (second.status, second.body)
        assert second.headers["Idempotent-Replayed"] == "true"
        assert len(call("GET", PROJECTS).body["projects"]) == 1

    def test_returns_422_for_a_key_with_another_body(self) -> None:
        key = {"Idempotency-Key": "key-1"}
        call("POST", PROJECTS, body={"name": "One"}, headers=key)
        answer = call("POST", PROJECTS, body={"name": "Two"}, headers=key)
        assert (answer.status, answer.body["error"]) == (422, "IdempotencyKeyReused")


class TestGetProject:
    def test_returns_the_project(self, store: Store) -> None:
        create(store, "1")
        answer = call("GET", PROJECT, project_id="prj_1", role=Role.OBSERVER)
        assert (answer.status, answer.headers["ETag"]) == (200, '"1"')
        assert answer.body["project"]["name"] == "1"

    @pytest.mark.parametrize("project_id", [UNKNOWN, "x", "prj_1#", "%00"])
    def test_returns_404_for_an_unknown_id(self, project_id: str) -> None:
        assert call("GET", PROJECT, project_id=project_id).status == 404

    def test_returns_404_for_a_user_of_another_tenant(self, store: Store) -> None:
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
    def test_returns_422_for_an_invalid_request(self, store: Store, method: str, body: object) -> None:
        create(store, "1")
        assert call(method, PROJECT, project_id="prj_1", body=body).status == 422

    def test_returns_412_for_an_outdated_if_match(self, store: Store, method: str) -> None:
        create(store, "1")
        answer = call(method, PROJECT, project_id="prj_1", body={"name": "x"}, headers={"If-Match": '"7"'})
        assert (answer.status, answer.body["error"]) == (412, "PreconditionFailed")

    def test_returns_404_for_an_unknown_id(self, method: str) -> None:
        assert call(method, PROJECT, project_id=UNKNOWN, body={"name": "x"}).status == 404

    def test_requires_a_developer(self, method: str) -> None:
        assert call(method, PROJECT, project_id=UNKNOWN, role=Role.ANALYST, body={"name": "x"}).status == 403


class TestDeleteProject:
    def test_returns_204_then_404(self, store: Store) -> None:
        create(store, "1")
        answers = [call("DELETE", PROJECT, project_id="prj_1") for _ in range(2)]
        assert [(answer.status, answer.body is None) for answer in answers] == [(204, True), (404, False)]

    def test_returns_412_for_an_outdated_if_match(self, store: Store) -> None:
        create(store, "1")
        assert call("DELETE", PROJECT, project_id="prj_1", headers={"If-Match": '"7"'}).status == 412

    def test_requires_a_developer(self) -> None:
        assert call("DELETE", PROJECT, project_id=UNKNOWN, role=Role.OBSERVER).status == 403
