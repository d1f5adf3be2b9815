"""The routes of a tenant for its own users."""

from datetime import timedelta
from typing import Any

import pytest

from services.tenants.tenants import operations as tenants
from shared.plans import Plan
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.services.tenants import client
from tests.services.tenants.acme import NOW
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


class TestTenant:
    def test_returns_the_tenant_to_its_users(self) -> None:
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

    def test_returns_403_for_another_tenant(self, store: Store) -> None:
        tenants.create_tenant(store, "other", name="Other", plan=Plan.PRO, now=NOW)
        answers = [call("GET", TENANT, tenant_id=tenant_id) for tenant_id in ("other", "none")]
        assert [answer.status for answer in answers] == [403, 403]
        assert answers[0].body == answers[1].body

    def test_platform_admin_can_read_every_tenant(self, store: Store) -> None:
        tenants.create_tenant(store, "other", name="Other", plan=Plan.PRO, now=NOW)
        answer = call("GET", TENANT, tenant_id="other", role=Role.PLATFORM_ADMIN, of_tenant=None)
        assert (answer.status, answer.body["tenant"]["name"]) == (200, "Other")

    def test_returns_404_to_a_platform_admin(self) -> None:
        assert call("GET", TENANT, tenant_id="none", role=Role.PLATFORM_ADMIN, of_tenant=None).status == 404

    @pytest.mark.parametrize("status", ["suspended", "suspended_by_billing"])
    def test_returns_the_suspension(self, store: Store, status: str) -> None:
        suspend(store, status)
        assert call("GET", TENANT).body["tenant"]["status"] == "suspended"

    def test_list_contains_only_the_callers_tenant(self) -> None:
        answer = call("GET", MINE, tenant_id=None, role=Role.OBSERVER)
        assert [tenant["tenant_id"] for tenant in answer.body["tenants"]] == ["acme"]
        assert answer.body["pagination"] == {"nextToken": None, "hasMore": False}

    @pytest.mark.report(28)
    def test_list_of_a_platform_admin_has_all_tenants(self, store: Store) -> None:
        tenants.create_tenant(store, "zeta", name="Zeta", plan=Plan.FREE, now=NOW + timedelta(days=1))
        first = call("GET", MINE, role=Role.PLATFORM_ADMIN, query={"limit": "1"})
        assert (first.status, [tenant["tenant_id"] for tenant in first.body["tenants"]]) == (200, ["zeta"])
        query = {"limit": "1", "next_token": first.body["pagination"]["nextToken"]}
        second = call("GET", MINE, role=Role.PLATFORM_ADMIN, query=query)
        assert [tenant["tenant_id"] for tenant in second.body["tenants"]] == ["acme"]
        assert second.body["pagination"] == {"nextToken": None, "hasMore": False}
        assert "own_limits" not in second.body["tenants"][0]

    @pytest.mark.report(28)
    @pytest.mark.parametrize("role", [role for role in Role if role is not Role.PLATFORM_ADMIN])
    def test_list_of_others_has_their_tenant_even_with_a_token_of_all(self, store: Store, role: Role) -> None:
        tenants.create_tenant(store, "zeta", name="Zeta", plan=Plan.FREE, now=NOW + timedelta(days=1))
        answer = call("GET", MINE, role=role, query={"limit": "100"})
        assert [tenant["tenant_id"] for tenant in answer.body["tenants"]] == ["acme"]
        token = call("GET", MINE, role=Role.PLATFORM_ADMIN, query={"limit": "1"}).body["pagination"]["nextToken"]
        assert call("GET", MINE, role=role, query={"next_token": token}).status == 400
