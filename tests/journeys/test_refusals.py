"""Requests that the running mesh refuses, with the documented status and the common error body."""

import http.client
import json
from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from cli.api import ApiResponse
from tests.journeys.steps import TENANT, Steps
from tests.mesh import ADMIN, DEVELOPER, Mesh

pytestmark = pytest.mark.mesh

UNKNOWN_RUN = "run_01ARZ3NDEKTSV4RRFFQ69G5FAV"


def _assert_refused(response: ApiResponse, status: int, error: str) -> dict[str, Any]:
    assert (response.status, response.body.get("error")) == (status, error), response
    assert response.body["message"]
    assert response.body["requestId"]
    return response.body


@contextmanager
def _raw(
    mesh: Mesh, method: str, path: str, headers: dict[str, str], body: bytes | None = None
) -> Generator[http.client.HTTPResponse]:
    """Send a request that the client of the tests cannot build."""
    url = urlsplit(mesh.api)
    with closing(http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)) as connection:
        connection.request(method, f"{url.path}{path}", body, headers)
        yield connection.getresponse()


class TestAuthentication:
    def test_refuses_an_invalid_token(self, mesh: Mesh) -> None:
        body = _assert_refused(mesh.call("GET", f"{TENANT}/agents", token="INVALID"), 401, "Unauthorized")
        assert body["message"] == "Invalid authentication token."

    def test_refuses_a_missing_token(self, mesh: Mesh) -> None:
        _assert_refused(mesh.call("GET", f"{TENANT}/agents", user=None), 401, "Unauthorized")

    def test_refuses_an_access_token(self, mesh: Mesh) -> None:
        response = mesh.clients.cognito.initiate_auth(
            ClientId=mesh.outputs["UserPoolClientId"],
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": DEVELOPER, "PASSWORD": _password_of(mesh, DEVELOPER)},
        )
        token = response["AuthenticationResult"]["AccessToken"]  # pyright: ignore[reportTypedDictNotRequiredAccess]  # a password was given
        _assert_refused(mesh.call("GET", f"{TENANT}/agents", token=token), 401, "Unauthorized")


def _password_of(mesh: Mesh, email: str) -> str:
    password = "A-new-Passw0rd-of-this-test"
    mesh.clients.cognito.admin_set_user_password(
        UserPoolId=mesh.outputs["UserPoolId"], Username=email, Password=password, Permanent=True
    )
    return password


class TestPaths:
    @pytest.mark.parametrize("tenant", ["enterprise-test", "demo-org2", "no-such-tenant"])
    def test_refuses_another_tenants_path_whether_it_exists_or_not(self, mesh: Mesh, tenant: str) -> None:
        _assert_refused(mesh.call("GET", f"/v1/tenants/{tenant}/projects"), 403, "Forbidden")

    @pytest.mark.parametrize("path", ["/v1/nothing", f"{TENANT}/nothing", "/"])
    def test_refuses_an_unknown_route(self, mesh: Mesh, path: str) -> None:
        _assert_refused(mesh.call("GET", path), 404, "NotFound")

    def test_refuses_a_wrong_method(self, mesh: Mesh) -> None:
        _assert_refused(mesh.call("DELETE", f"{TENANT}/runs"), 404, "NotFound")

    def test_refuses_an_id_that_does_not_exist(self, mesh: Mesh) -> None:
        _assert_refused(mesh.call("GET", f"{TENANT}/runs/{UNKNOWN_RUN}"), 404, "NotFound")

    def test_refuses_an_id_that_is_rubbish(self, mesh: Mesh) -> None:
        _assert_refused(mesh.call("GET", f"{TENANT}/runs/{'x' * 2_000}"), 404, "NotFound")

    def test_refuses_an_unknown_query_parameter(self, mesh: Mesh) -> None:
        body = _assert_refused(mesh.call("GET", f"{TENANT}/runs?colour=red"), 422, "ValidationFailed")
        assert body["details"] == [{"field": "colour", "message": "unknown query parameter"}]

    def test_refuses_a_page_token_of_another_list(self, mesh: Mesh, steps: Steps) -> None:
        for _ in range(2):
            steps.create_agent()
        token = mesh.call("GET", f"{TENANT}/agents?limit=1").body["pagination"]["nextToken"]
        _assert_refused(mesh.call("GET", f"{TENANT}/runs?next_token={token}"), 400, "BadRequest")


class TestBodies:
    def test_refuses_an_unknown_field(self, steps: Steps) -> None:
        response = steps.call("POST", "/projects", {"name": "A", "colour": "red"})
        assert _assert_refused(response, 422, "ValidationFailed")["details"][0]["field"] == "colour"

    @pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"name": NaN}', b'{"name": "\\ud800"}', b"[" * 100_000])
    def test_refuses_malformed_json(self, mesh: Mesh, body: bytes) -> None:
        headers = {"Authorization": f"Bearer {mesh.token()}", "Content-Type": "application/json"}
        with _raw(mesh, "POST", f"{TENANT}/projects", headers, body) as response:
            assert (response.status, json.load(response)["error"]) == (400, "BadRequest")

    def test_refuses_a_body_that_is_too_large(self, steps: Steps) -> None:
        response = steps.call("POST", "/projects", {"name": "x" * (1024 * 1024)})
        _assert_refused(response, 413, "PayloadTooLarge")

    def test_refuses_an_agent_that_does_not_exist(self, steps: Steps) -> None:
        body = {"agent_id": "agt_01ARZ3NDEKTSV4RRFFQ69G5FAV", "inputs": {"message": "Hi"}}
        _assert_refused(steps.call("POST", "/runs", body), 404, "NotFound")

    def test_refuses_a_version_that_is_stale(self, steps: Steps) -> None:
        agent_id = steps.create_agent()
        steps.call("PATCH", f"/agents/{agent_id}", {"name": "B"})
        response = steps.call("PATCH", f"/agents/{agent_id}", {"name": "C"}, headers={"If-Match": '"1"'})
        _assert_refused(response, 412, "PreconditionFailed")


class TestCors:
    def test_preflight_requests_succeed_on_every_path(self, mesh: Mesh) -> None:
        headers = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
        with _raw(mesh, "OPTIONS", f"{TENANT}/runs", headers) as response:
            assert response.status in {200, 204}
            assert "Idempotency-Key" in (response.getheader("Access-Control-Allow-Headers") or "")

    @pytest.mark.parametrize(("origin", "allowed"), [("http://localhost:3000", True), ("http://evil.example", False)])
    def test_only_a_listed_origin_may_read_responses(self, mesh: Mesh, origin: str, allowed: bool) -> None:  # noqa: FBT001 — a parameter of pytest's
        for path in (f"{TENANT}/projects", f"{TENANT}/projects/prj_unknown"):
            response = mesh.call("GET", path, user=ADMIN, headers={"Origin": origin})
            assert ("Access-Control-Allow-Origin" in response.headers) is allowed
