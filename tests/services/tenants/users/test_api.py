"""The routes of a tenant's users."""

from typing import Any

import pytest

from services.tenants import wiring
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.services.tenants.answers import Answered, call
from tests.services.tenants.pool import make_pool

USERS = "/v1/tenants/{tenant_id}/users"
INVITE = f"{USERS}/invite"
USER = f"{USERS}/{{user_id}}"
A = {"email": "A@acme.com", "role": "tenant_admin"}
B = {"email": "b@acme.com", "role": "developer", "features": ["agents"]}


@pytest.fixture(autouse=True)
def _pool(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 — it begins the mock
    monkeypatch.setenv("USER_POOL_ID", make_pool()[1])


def invite(body: dict[str, Any]) -> str:
    """The id of a new user."""
    return call("POST", INVITE, body=body).body["user"]["user_id"]


def on(method: str, user_id: str, body: object = None, **options: Any) -> Answered:  # noqa: ANN401 — those of `call`
    """A request about one user."""
    return call(method, USER, user_id=user_id, body=body, **options)


class TestInvite:
    def test_is_201_with_the_user(self) -> None:
        answer = call("POST", INVITE, body=B)
        user = answer.body["user"]
        assert (answer.status, answer.headers["Location"]) == (201, f"/v1/tenants/acme/users/{user['user_id']}")
        assert (user["email"], user["role"], user["features"], user["status"]) == (
            "b@acme.com",
            "developer",
            ["agents"],
            "active",
        )
        pooled = wiring.identity().find("b@acme.com")
        assert pooled
        assert (pooled.user_id, pooled.tenant_id, pooled.role) == (user["user_id"], "acme", "developer")

    def test_one_who_is_there_is_409_and_so_is_one_too_many(self) -> None:
        invite(A)
        assert call("POST", INVITE, body=A).error == (409, "Conflict")
        invite(B)
        assert call("POST", INVITE, body={**B, "email": "c@acme.com"}).error == (409, "LimitReached")

    def test_an_address_of_another_tenant_is_409_and_says_nothing_of_it(self) -> None:
        invite(A)
        other = call("POST", INVITE, role=Role.PLATFORM_ADMIN, tenant_id="none", body=B)
        assert other.error == (404, "NotFound")

    def test_sent_twice_is_done_once(self) -> None:
        key = {"Idempotency-Key": "key-1"}
        first, second = (call("POST", INVITE, body=A, headers=key) for _ in range(2))
        assert (first.status, first.body, second.status) == (201, second.body, 201)
        assert second.headers["Idempotent-Replayed"] == "true"

    @pytest.mark.parametrize(
        "wrong",
        [
            {"role": "platform_admin"},
            {"email": "nobody"},
            {"email": f"{'x' * 130}@acme.com"},
            {"features": ["magic"]},
            {"features": ["all"]},
            {"password": "secret"},
        ],
        ids=str,
    )
    def test_what_is_not_valid_is_422(self, wrong: dict[str, Any]) -> None:
        assert call("POST", INVITE, body={**A, **wrong}).error == (422, "ValidationFailed")

    @pytest.mark.parametrize("role", [Role.DEVELOPER, Role.ANALYST, Role.OBSERVER])
    def test_needs_an_admin(self, role: Role) -> None:
        assert call("POST", INVITE, role=role, body=A).error == (403, "Forbidden")


class TestList:
    def test_is_for_analysts_and_newest_first(self) -> None:
        invite(A)
        invite(B)
        users = call("GET", USERS, role=Role.ANALYST).body["users"]
        assert [user["email"] for user in users] == ["b@acme.com", "a@acme.com"]
        assert call("GET", USERS, role=Role.OBSERVER).error == (403, "Forbidden")

    def test_goes_on_page_by_page(self) -> None:
        invite(A)
        invite(B)
        first = call("GET", USERS, query={"limit": "1"}).body
        second = call("GET", USERS, query={"limit": "1", "next_token": first["pagination"]["nextToken"]}).body
        assert [user["email"] for user in first["users"] + second["users"]] == ["b@acme.com", "a@acme.com"]


class TestChange:
    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_merges(self, method: str) -> None:
        user_id = invite(B)
        changed = on(method, user_id, {"role": "analyst"})
        assert (changed.status, changed.headers["ETag"]) == (200, '"2"')
        assert (changed.body["user"]["role"], changed.body["user"]["features"]) == ("analyst", ["agents"])
        assert on(method, user_id, {"features": None}).body["user"]["features"] is None

    def test_the_last_admin_stays(self) -> None:
        user_id = invite(A)
        assert on("PUT", user_id, {"role": "developer"}).error == (409, "Conflict")
        assert on("DELETE", user_id).error == (409, "Conflict")

    def test_a_stale_one_is_412(self) -> None:
        user_id = invite(B)
        assert on("PUT", user_id, {"role": "analyst"}, headers={"If-Match": '"9"'}).error == (412, "PreconditionFailed")
        assert on("DELETE", user_id, headers={"If-Match": '"9"'}).error == (412, "PreconditionFailed")

    @pytest.mark.parametrize("body", [{"role": None}, {"role": "platform_admin"}, {"email": "x@y.com"}], ids=str)
    def test_what_is_not_valid_is_422(self, body: object) -> None:
        assert on("PUT", invite(B), body).error == (422, "ValidationFailed")

    @pytest.mark.parametrize("user_id", ["none", "x#y", "%00"])
    def test_one_who_does_not_exist_is_404(self, user_id: str) -> None:
        assert on("PUT", user_id, {"role": "analyst"}).error == (404, "NotFound")
        assert on("DELETE", user_id).error == (404, "NotFound")

    @pytest.mark.parametrize("role", [Role.DEVELOPER, Role.ANALYST])
    def test_needs_an_admin(self, role: Role) -> None:
        assert on("PUT", "x", {"role": "analyst"}, role=role).error == (403, "Forbidden")
        assert on("DELETE", "x", role=role).error == (403, "Forbidden")


class TestRemove:
    def test_is_204_and_then_404(self) -> None:
        user_id = invite(B)
        assert [on("DELETE", user_id).status for _ in range(2)] == [204, 404]
        assert call("GET", USERS).body["users"] == []
