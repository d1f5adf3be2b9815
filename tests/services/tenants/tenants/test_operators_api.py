"""The operators' routes for all tenants, and the changes that a tenant's admin can make."""

from collections.abc import Mapping
from typing import Any

import pytest

from services.tenants.tenants import operations
from shared.http.token import seal
from shared.plans import LIMITS, Plan
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.forged_cursors import every_forged_position
from tests.services.tenants.acme import LATER, delete_acme
from tests.services.tenants.client import TenantsApiResponse, call
from tests.services.tenants.received import subscription_changed, usage_summarized

MINE = "/v1/tenants/{tenant_id}"
TENANTS = "/v1/admin/tenants"
TENANT = f"{TENANTS}/{{tenant_id}}"
NEW = {"tenant_id": "new", "name": "New", "plan": "pro"}

pytestmark = pytest.mark.usefixtures("store")


def ask(
    method: str,
    resource: str = TENANT,
    body: object = None,
    *,
    tenant_id: str = "acme",
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> TenantsApiResponse:
    """Send a request of a platform admin."""
    return call(
        method, resource, role=Role.PLATFORM_ADMIN, body=body, headers=headers, query=query, tenant_id=tenant_id
    )


class TestAccess:
    @pytest.mark.parametrize("role", [role for role in Role if role is not Role.PLATFORM_ADMIN])
    @pytest.mark.parametrize(
        ("method", "resource"),
        [
            ("GET", TENANTS),
            ("POST", TENANTS),
            ("GET", TENANT),
            ("PUT", TENANT),
            ("POST", f"{TENANT}/suspend"),
            ("POST", f"{TENANT}/reactivate"),
        ],
    )
    def test_requires_a_platform_admin(self, method: str, resource: str, role: Role) -> None:
        assert call(method, resource, role=role, body={}).error == (403, "Forbidden")


class TestCreateTenant:
    def test_returns_201_with_the_location(self) -> None:
        answer = ask("POST", TENANTS, {**NEW, "limits": {"max_users": 7, "enabled_features": ["agents", "all"]}})
        assert (answer.status, answer.headers["Location"]) == (201, "/v1/admin/tenants/new")
        made = answer.body["tenant"]
        assert (made["plan"], made["status"], made["limits"]["max_users"]) == ("pro", "active", 7)
        assert made["own_limits"] == {"max_users": 7, "enabled_features": ["agents", "all"]}
        assert ask("GET", tenant_id="new").body["tenant"] == made

    @pytest.mark.parametrize("own", [1, 1_000, -1])
    def test_accepts_a_concurrency_limit_above_the_plan(self, own: int) -> None:
        made = ask("POST", TENANTS, {**NEW, "limits": {"max_concurrent_runs": own}}).body["tenant"]
        assert (made["limits"]["max_concurrent_runs"], made["own_limits"]) == (own, {"max_concurrent_runs": own})
        back = ask("PUT", body={"limits": {"max_concurrent_runs": None}}, tenant_id="new").body["tenant"]
        assert (back["limits"]["max_concurrent_runs"], back["own_limits"]) == (50, {})

    def test_returns_409_for_an_existing_id(self, store: Store) -> None:
        assert ask("POST", TENANTS, {**NEW, "tenant_id": "acme"}).error == (409, "Conflict")
        delete_acme(store)
        assert ask("POST", TENANTS, {**NEW, "tenant_id": "acme"}).error == (409, "Conflict")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"tenant_id": "New"},
            {"tenant_id": "n"},
            {"tenant_id": "new\n"},
            {"name": ""},
            {"plan": "golden"},
            {"limits": {"max_users": -2}},
            {"limits": {"max_users": "7"}},
            {"limits": {"max_concurrent_runs": 0}},
            {"limits": {"max_concurrent_runs": 1_001}},
            {"limits": {"enabled_features": ["magic"]}},
            {"limits": {"max_dreams": 1}},
            {"colour": "red"},
        ],
        ids=str,
    )
    def test_returns_422_for_an_invalid_request(self, wrong: dict[str, Any]) -> None:
        assert ask("POST", TENANTS, {**NEW, **wrong}).error == (422, "ValidationFailed")

    def test_executes_a_repeated_request_once(self) -> None:
        key = {"Idempotency-Key": "key-1"}
        first, second = (ask("POST", TENANTS, NEW, headers=key) for _ in range(2))
        assert (first.status, first.body) == (second.status, second.body)
        assert second.headers["Idempotent-Replayed"] == "true"
        assert ask("POST", TENANTS, {**NEW, "name": "Other"}, headers=key).error == (422, "IdempotencyKeyReused")


class TestListTenants:
    def test_pages_are_newest_first(self) -> None:
        for number in range(2):
            ask("POST", TENANTS, {**NEW, "tenant_id": f"new{number}"})
        first = ask("GET", TENANTS, query={"limit": "2"}).body
        token = first["pagination"]["nextToken"]
        second = ask("GET", TENANTS, query={"limit": "2", "next_token": token}).body
        assert [tenant["tenant_id"] for tenant in first["tenants"] + second["tenants"]] == ["new1", "new0", "acme"]
        assert second["pagination"]["hasMore"] is False


class TestChangeTenant:
    def test_merges_limits_over_the_plans(self) -> None:
        changed = ask("PUT", body={"plan": "pro", "limits": {"max_users": None, "max_tokens_per_month": 5}})
        assert (changed.status, changed.headers["ETag"]) == (200, '"2"')
        limits = changed.body["tenant"]["limits"]
        assert (limits["max_users"], limits["max_projects"], limits["max_tokens_per_month"]) == (10, 2, 5)
        moved = ask("PATCH", body={"plan": "enterprise"}).body["tenant"]
        assert (moved["limits"]["max_projects"], moved["limits"]["max_users"]) == (2, 100)

    def test_returns_412_for_an_outdated_if_match(self) -> None:
        assert ask("PUT", body={"name": "x"}, headers={"If-Match": '"7"'}).error == (412, "PreconditionFailed")

    def test_returns_409_for_overage_on_a_plan_without_prices(self) -> None:
        assert ask("PUT", body={"overage": "allow"}).error == (409, "Conflict")
        assert ask("PUT", body={"plan": "pro", "overage": "allow"}).body["tenant"]["overage"] == "allow"

    @pytest.mark.parametrize("body", [{"name": None}, {"plan": None}, {"overage": None}, {"status": "active"}], ids=str)
    def test_returns_422_for_an_invalid_request(self, body: object) -> None:
        assert ask("PUT", body=body).error == (422, "ValidationFailed")

    @pytest.mark.parametrize(
        ("method", "resource"), [("GET", TENANT), ("PUT", TENANT), ("POST", f"{TENANT}/reactivate")]
    )
    def test_returns_404_for_an_unknown_id(self, method: str, resource: str) -> None:
        body = {"name": "x"} if method == "PUT" else None
        assert ask(method, resource, body, tenant_id="none").error == (404, "NotFound")

    @pytest.mark.parametrize("tenant_id", ["Acme", "acme#", "a" * 100, ".."])
    def test_returns_403_for_an_invalid_id(self, tenant_id: str) -> None:
        assert ask("GET", tenant_id=tenant_id).error == (403, "Forbidden")


class TestSuspension:
    def test_blocks_changes_but_not_reads(self) -> None:
        suspended = ask("POST", f"{TENANT}/suspend", {"reason": "Spam", "abuse": True}).body["tenant"]
        assert (suspended["status"], suspended["suspended_by"]) == ("suspended", "operator")
        assert (suspended["suspension"]["reason"], suspended["suspension"]["abuse"]) == ("Spam", True)
        assert call("PUT", MINE, body={"name": "x"}).error == (403, "Forbidden")
        mine = call("GET", MINE)
        assert (mine.status, mine.body["tenant"]["suspended_by"]) == (200, "operator")
        assert "suspension" not in mine.body["tenant"]

    def test_is_lifted_by_operators(self) -> None:
        ask("POST", f"{TENANT}/suspend", {"reason": "Spam"})
        assert ask("POST", f"{TENANT}/reactivate").body["tenant"]["status"] == "active"
        assert call("PUT", MINE, body={"name": "x"}).status == 200
        assert ask("POST", f"{TENANT}/reactivate").error == (409, "Conflict")

    def test_cannot_lift_a_suspension_by_billing(self, store: Store) -> None:
        operations.apply_subscription(store, subscription_changed("acme", suspended=True, grace_until=LATER))
        assert call("PUT", MINE, body={"name": "x"}).error == (402, "PaymentRequired")
        shown = call("GET", MINE).body["tenant"]
        assert (shown["suspended_by"], shown["grace_until"]) == ("billing", "2026-11-22T12:05:00.000Z")
        assert ask("POST", f"{TENANT}/reactivate").error == (409, "Conflict")
        ask("POST", f"{TENANT}/suspend", {"reason": "Spam"})
        operations.apply_subscription(store, subscription_changed("acme", seq=2))
        assert ask("GET").body["tenant"]["suspended_by"] == "operator"

    @pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x", "abuse": "yes"}, {"reason": "x", "by": "me"}])
    def test_requires_a_reason(self, body: object) -> None:
        assert ask("POST", f"{TENANT}/suspend", body).error == (422, "ValidationFailed")


class TestOwnTenant:
    def test_admin_changes_name_settings_and_overage(self) -> None:
        ask("PUT", body={"plan": "pro"})
        first = call("PUT", MINE, body={"name": "Renamed", "settings": {"a": {"b": 1.5, "c": 2}}, "overage": "allow"})
        assert (first.status, first.body["tenant"]["overage"]) == (200, "allow")
        second = call("PATCH", MINE, body={"settings": {"a": {"b": None}, "d": []}}).body["tenant"]
        assert (second["name"], second["settings"]) == ("Renamed", {"a": {"c": 2}, "d": []})

    @pytest.mark.parametrize(
        "body", [{"plan": "enterprise"}, {"limits": {}}, {"settings": {"a": "x" * 20_000}}], ids=len
    )
    def test_refuses_other_fields(self, body: object) -> None:
        assert call("PUT", MINE, body=body).error == (422, "ValidationFailed")

    @pytest.mark.parametrize("role", [Role.DEVELOPER, Role.ANALYST, Role.OBSERVER])
    def test_requires_an_admin(self, role: Role) -> None:
        assert call("PUT", MINE, role=role, body={"name": "x"}).error == (403, "Forbidden")

    def test_shows_the_usage_of_this_month(self, store: Store) -> None:
        operations.save_usage(store, usage_summarized("acme", month="2020-01", requests=9, storage_bytes=10**9 + 1))
        usage = call("GET", MINE).body["tenant"]["current_usage"]
        assert (usage["monthly_requests"], usage["storage_gb"]) == (0, 2)


def test_every_plan_is_returned_with_its_limits() -> None:
    for plan in Plan:
        ask("POST", TENANTS, {"tenant_id": f"on-{plan}", "name": "x", "plan": plan.value})
        assert ask("GET", tenant_id=f"on-{plan}").body["tenant"]["limits"] == LIMITS[plan].to_item()


class TestForgedTokens:
    @every_forged_position
    def test_list_of_tenants_refuses_forged_tokens(self, position: str) -> None:
        assert ask("GET", TENANTS, query={"next_token": seal(position, "", "tenants")}).status == 400
