"""The routes of a tenant's users."""

from typing import Any

import pytest

from services.tenants import wiring
from services.tenants.users.gateway.user_pool import PoolUserAttributes
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.services.tenants.client import TenantsApiResponse, call
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
    """Invite a user and return its id."""
    return call("POST", INVITE, body=body).body["user"]["user_id"]


def on(method: str, user_id: str, body: object = None, **options: Any) -> TenantsApiResponse:  # noqa: ANN401 — those of `call`
    """Send a request about one user."""
    return call(method, USER, user_id=user_id, body=body, **options)


class TestInvite:
    def test_returns_201_with_the_user(self) -> None:
        answer = call("POST", INVITE, body=B)
        user = answer.body["user"]
        assert (answer.status, answer.headers["Location"]) == (201, f"/v1/tenants/acme/users/{user['user_id']}")
        assert (user["email"], user["role"], user["features"], user["status"]) == (
            "b@acme.com",
            "developer",
            ["agents"],
            "active",
        )
        pooled = wiring.user_pool().find("b@acme.com")
        assert pooled
        assert (pooled.user_id, pooled.tenant_id, pooled.role) == (user["user_id"], "acme", "developer")

    def test_returns_409_for_an_existing_user_and_above_the_limit(self) -> None:
        invite(A)
        assert call("POST", INVITE, body=A).error == (409, "Conflict")
        invite(B)
        assert call("POST", INVITE, body={**B, "email": "c@acme.com"}).error == (409, "LimitReached")

    def test_returns_409_without_details_of_another_tenant(self) -> None:
        invite(A)
        other = call("POST", INVITE, role=Role.PLATFORM_ADMIN, tenant_id="none", body=B)
        assert other.error == (404, "NotFound")

    @pytest.mark.report(24)
    @pytest.mark.parametrize("again", ["b@bu\u0308cher.de", "B@xn--bcher-kva.de"], ids=ascii)
    def test_creates_one_user_for_all_forms_of_an_address(self, again: str) -> None:
        created = call("POST", INVITE, body={**B, "email": "B@b\xfccher.de"})
        assert (created.status, created.body["user"]["email"]) == (201, "b@xn--bcher-kva.de")
        assert call("POST", INVITE, body={**B, "email": again}).error == (409, "Conflict")

    def test_executes_a_repeated_request_once(self) -> None:
        key = {"Idempotency-Key": "key-1"}
        first, second = (call("POST", INVITE, body=A, headers=key) for _ in range(2))
        assert (first.status, first.body, second.status) == (201, second.body, 201)
        assert second.headers["Idempotent-Replayed"] == "true"

    @pytest.mark.parametrize(
        "wrong",
        [
            {"role": "platform_admin"},
            {"email": "nobody"},
            {"email": "a\u202eb@acme.com"},
            {"email": "\u0130@acme.com"},
            {"email": "\uff41dmin@acme.com"},
            {"email": f"{'x' * 130}@acme.com"},
            {"features": ["magic"]},
            {"features": ["all"]},
            {"password": "secret"},
        ],
        ids=str,
    )
    def test_returns_422_for_an_invalid_request(self, wrong: dict[str, Any]) -> None:
        assert call("POST", INVITE, body={**A, **wrong}).error == (422, "ValidationFailed")

    @pytest.mark.parametrize("role", [Role.DEVELOPER, Role.ANALYST, Role.OBSERVER])
    def test_requires_an_admin(self, role: Role) -> None:
        assert call("POST", INVITE, role=role, body=A).error == (403, "Forbidden")


class TestList:
    def test_lists_newest_first_for_analysts(self) -> None:
        invite(A)
        invite(B)
        users = call("GET", USERS, role=Role.ANALYST).body["users"]
        assert [user["email"] for user in users] == ["b@acme.com", "a@acme.com"]
        assert call("GET", USERS, role=Role.OBSERVER).error == (403, "Forbidden")

    def test_lists_page_by_page(self) -> None:
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

    def test_changes_the_address(self) -> None:
        user_id = invite(B)
        changed = on("PATCH", user_id, {"email": "New@acme.com"})
        assert (changed.status, changed.body["user"]["email"]) == (200, "new@acme.com")
        assert on("PATCH", user_id, {"email": "new@acme.com"}).headers["ETag"] == changed.headers["ETag"]
        assert on("PATCH", user_id, {"email": "other@acme.com"}).error == (409, "Conflict")

    def test_returns_409_without_the_tenant_of_an_address_in_use(self) -> None:
        wiring.user_pool().ensure(PoolUserAttributes("c@other.com", Role.ANALYST, "other"), temporary_password=None)
        user_id = invite(B)
        invite(A)
        assert on("PATCH", user_id, {"email": "a@acme.com"}).error == (409, "Conflict")
        refused = on("PATCH", user_id, {"email": "c@other.com"})
        invited = call("POST", INVITE, body={**B, "email": "c@other.com"})
        assert (refused.error, refused.body["message"]) == ((409, "Conflict"), invited.body["message"])

    def test_refuses_to_remove_the_last_admin(self) -> None:
        user_id = invite(A)
        assert on("PUT", user_id, {"role": "developer"}).error == (409, "Conflict")
        assert on("DELETE", user_id).error == (409, "Conflict")

    def test_returns_412_for_an_outdated_if_match(self) -> None:
        user_id = invite(B)
        assert on("PUT", user_id, {"role": "analyst"}, headers={"If-Match": '"9"'}).error == (412, "PreconditionFailed")
        assert on("DELETE", user_id, headers={"If-Match": '"9"'}).error == (412, "PreconditionFailed")

    @pytest.mark.parametrize(
        "body", [{"role": None}, {"role": "platform_admin"}, {"email": "x@y"}, {"email": None}], ids=str
    )
    def test_returns_422_for_an_invalid_request(self, body: object) -> None:
        assert on("PUT", invite(B), body).error == (422, "ValidationFailed")

    @pytest.mark.parametrize("user_id", ["none", "x#y", "%00"])
    def test_returns_404_for_an_unknown_user(self, user_id: str) -> None:
        assert on("PUT", user_id, {"role": "analyst"}).error == (404, "NotFound")
        assert on("DELETE", user_id).error == (404, "NotFound")

    @pytest.mark.parametrize("role", [Role.DEVELOPER, Role.ANALYST])
    def test_requires_an_admin(self, role: Role) -> None:
        assert on("PUT", "x", {"role": "analyst"}, role=role).error == (403, "Forbidden")
        assert on("DELETE", "x", role=role).error == (403, "Forbidden")


class TestRemove:
    def test_returns_204_then_404(self) -> None:
        user_id = invite(B)
        assert [on("DELETE", user_id).status for _ in range(2)] == [204, 404]
        assert call("GET", USERS).body["users"] == []
