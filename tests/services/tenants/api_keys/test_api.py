"""The routes of API keys, with every status."""

import json
from datetime import timedelta
from typing import Any

import pytest

from services.tenants.api_keys.domain import MAX_API_KEYS
from services.tenants.partitions import SLICE, config_key
from shared.api_keys.secret import hash_of, is_well_formed
from shared.storage.store import Store
from shared.storage.transaction import Expression
from shared.tenancy.permissions import Role
from shared.times import to_text, utc_now
from tests.services.tenants.client import TenantsApiResponse, call

API_KEYS = "/v1/tenants/{tenant_id}/api-keys"
API_KEY = f"{API_KEYS}/{{api_key_id}}"
UNKNOWN = "key_01KAQ5YH5C9D1E3F5G7H9J1K3M"

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "test")


def create(*, role: Role = Role.DEVELOPER, headers: dict[str, str] | None = None, **body: Any) -> TenantsApiResponse:  # noqa: ANN401 — any body
    return call("POST", API_KEYS, role=role, body={"name": "CI", **body}, headers=headers)


def created_id(**body: Any) -> str:  # noqa: ANN401 — any body
    return call("POST", API_KEYS, body={"name": "CI", **body}).body["api_key"]["api_key_id"]


def stored(store: Store) -> str:
    """Return all items of the tenant as text."""
    items = [*store.query_all(Expression("#PK = :pk", {"pk": SLICE.key("acme")}))]
    outbox = [*store.query_all(Expression("#PK = :pk", {"pk": SLICE.key("acme", "OUTBOX")}))]
    return json.dumps([*items, *outbox])


class TestCreateApiKey:
    def test_returns_the_key_with_its_secret(self) -> None:
        answer = create(scopes=["runs:write", "runs:read", "runs:read"])
        key, secret = answer.body["api_key"], answer.body["secret"]
        assert answer.status == 201
        assert answer.headers["Location"] == f"/v1/tenants/acme/api-keys/{key['api_key_id']}"
        assert is_well_formed(secret, environment="test")
        assert secret.startswith(key["prefix"])
        assert key["scopes"] == ["runs:read", "runs:write"]
        assert (key["role"], key["status"], key["created_by"]) == ("developer", "active", "user:8f1c")
        assert (key["expires_at"], key["last_used_at"]) == (None, None)

    def test_stores_the_hash_and_never_the_secret(self, store: Store) -> None:
        secret = create().body["secret"]
        assert hash_of(secret) in stored(store)
        assert secret not in stored(store)

    def test_shows_the_secret_once(self) -> None:
        headers = {"Idempotency-Key": "one"}
        first, again = create(headers=headers), create(headers=headers)
        assert again.status == 201
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.body["api_key"] == first.body["api_key"]
        assert (again.body["secret"], first.body["secret"] is None) == (None, False)
        api_key_id = first.body["api_key"]["api_key_id"]
        assert first.body["secret"] not in json.dumps(call("GET", API_KEY, api_key_id=api_key_id).body)

    @pytest.mark.parametrize("role", [Role.ANALYST, Role.OBSERVER])
    def test_needs_a_developer(self, role: Role) -> None:
        assert create(role=role).error == (403, "Forbidden")

    @pytest.mark.parametrize(
        ("caller", "role", "status"),
        [
            (Role.DEVELOPER, "tenant_admin", 403),
            (Role.DEVELOPER, "developer", 201),
            (Role.DEVELOPER, "observer", 201),
            (Role.TENANT_ADMIN, "tenant_admin", 201),
            (Role.PLATFORM_ADMIN, "tenant_admin", 201),
        ],
    )
    def test_gives_at_most_the_callers_role(self, caller: Role, role: str, status: int) -> None:
        assert create(role=caller).status == 201
        answer = call("POST", API_KEYS, role=caller, body={"name": "CI", "role": role})
        assert answer.status == status

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"name": ""}, "name"),
            ({"name": "x" * 201}, "name"),
            ({"name": "a\nb"}, "name"),
            ({"role": "platform_admin"}, "role"),
            ({"role": "owner"}, "role"),
            ({"scopes": []}, "scopes"),
            ({"scopes": ["runs"]}, "scopes.0"),
            ({"scopes": ["api-keys:write"]}, "scopes.0"),
            ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
            ({"expires_at": "2026-12-01"}, "expires_at"),
            ({"expires_at": 1_800_000_000}, "expires_at"),
            ({"secret": "mine"}, "secret"),
            ({"limits": {}}, "limits"),
        ],
        ids=str,
    )
    def test_refuses_invalid_fields(self, body: dict[str, Any], field: str) -> None:
        answer = call("POST", API_KEYS, body={"name": "CI", **body})
        assert answer.error == (422, "ValidationFailed")
        assert [detail["field"] for detail in answer.body["details"]] == [field]

    def test_refuses_more_than_the_maximum(self, store: Store) -> None:
        config = Expression("SET #api_keys = :count", {"count": MAX_API_KEYS - 1})
        first = created_id()
        store.update(config_key("acme"), config, when=Expression("attribute_exists(PK)"))
        assert create().status == 201
        assert create().error == (409, "LimitReached")
        assert call("DELETE", API_KEY, api_key_id=first).status == 204
        assert create().status == 201


class TestListApiKeys:
    def test_pages_are_newest_first(self) -> None:
        ids = [created_id(name=str(number)) for number in range(3)]
        first = call("GET", API_KEYS, query={"limit": "2"}).body
        second = call("GET", API_KEYS, query={"limit": "2", "next_token": first["pagination"]["nextToken"]}).body
        found = [key["api_key_id"] for key in first["api_keys"] + second["api_keys"]]
        assert found == ids[::-1]
        assert (first["pagination"]["hasMore"], second["pagination"]["hasMore"]) == (True, False)


class TestGetApiKey:
    def test_returns_a_key_with_an_etag(self) -> None:
        answer = call("GET", API_KEY, api_key_id=created_id())
        assert (answer.status, answer.headers["ETag"]) == (200, '"1"')

    def test_shows_a_key_that_has_expired(self) -> None:
        ends = utc_now() + timedelta(milliseconds=300)
        api_key_id = created_id(expires_at=to_text(ends))
        while utc_now() <= ends:
            pass
        assert call("GET", API_KEY, api_key_id=api_key_id).body["api_key"]["status"] == "expired"

    def test_returns_404_for_an_unknown_one(self) -> None:
        assert call("GET", API_KEY, api_key_id=UNKNOWN).error == (404, "NotFound")


class TestUpdateApiKey:
    def test_merges_the_given_fields(self) -> None:
        api_key_id = created_id(scopes=["runs:read"])
        answer = call("PATCH", API_KEY, api_key_id=api_key_id, body={"role": "observer"})
        key = answer.body["api_key"]
        assert (key["role"], key["name"], key["scopes"]) == ("observer", "CI", ["runs:read"])
        answer = call("PATCH", API_KEY, api_key_id=api_key_id, body={"scopes": None})
        assert (answer.body["api_key"]["scopes"], answer.headers["ETag"]) == (None, '"3"')

    def test_refuses_a_stale_version(self) -> None:
        api_key_id = created_id()
        answer = call("PATCH", API_KEY, api_key_id=api_key_id, body={"name": "x"}, headers={"If-Match": '"7"'})
        assert answer.error == (412, "PreconditionFailed")

    def test_refuses_a_key_above_the_caller(self) -> None:
        api_key_id = created_id(role="tenant_admin")
        for body in ({"name": "mine"}, {"role": "developer"}):
            answer = call("PATCH", API_KEY, role=Role.DEVELOPER, api_key_id=api_key_id, body=body)
            assert answer.error == (403, "Forbidden")

    def test_refuses_to_raise_a_key_above_the_caller(self) -> None:
        body = {"role": "tenant_admin"}
        answer = call("PATCH", API_KEY, role=Role.DEVELOPER, api_key_id=created_id(), body=body)
        assert answer.error == (403, "Forbidden")


class TestRotateApiKey:
    def test_returns_another_secret(self) -> None:
        first = create().body
        api_key_id = first["api_key"]["api_key_id"]
        answer = call("POST", f"{API_KEY}/rotate", api_key_id=api_key_id, body={"overlap_hours": 1})
        assert answer.status == 200
        assert is_well_formed(answer.body["secret"], environment="test")
        assert answer.body["secret"] != first["secret"]
        assert answer.body["secret"].startswith(answer.body["api_key"]["prefix"])

    @pytest.mark.parametrize("hours", [-1, 169, 1.5, "1", None])
    def test_refuses_an_invalid_overlap(self, hours: object) -> None:
        answer = call("POST", f"{API_KEY}/rotate", api_key_id=created_id(), body={"overlap_hours": hours})
        assert answer.error == (422, "ValidationFailed")

    def test_refuses_a_key_above_the_caller(self) -> None:
        api_key_id = created_id(role="tenant_admin")
        answer = call("POST", f"{API_KEY}/rotate", role=Role.DEVELOPER, api_key_id=api_key_id, body={})
        assert answer.error == (403, "Forbidden")


class TestDeleteApiKey:
    def test_removes_the_key_and_its_secrets(self, store: Store) -> None:
        first = create().body
        api_key_id = first["api_key"]["api_key_id"]
        call("POST", f"{API_KEY}/rotate", api_key_id=api_key_id, body={})
        assert call("DELETE", API_KEY, api_key_id=api_key_id).status == 204
        assert call("GET", API_KEY, api_key_id=api_key_id).status == 404
        assert "APISECRET#" not in stored(store)
        assert call("DELETE", API_KEY, api_key_id=api_key_id).error == (404, "NotFound")

    def test_refuses_a_key_above_the_caller(self) -> None:
        api_key_id = created_id(role="tenant_admin")
        assert call("DELETE", API_KEY, role=Role.DEVELOPER, api_key_id=api_key_id).error == (403, "Forbidden")
