"""The plan that a tenant is billed by, over HTTP."""

import json
from threading import Timer
from typing import Any

import pytest

from services.billing import operations
from services.billing.api import app
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.gateway import REQUEST_ID, claims, request
from tests.services.billing.tenants import created

PLAN = "/v1/tenants/{tenant_id}/billing/plan"


def get_plan(*, tenant_id: str = "demo-org", role: Role = Role.ANALYST) -> dict[str, Any]:
    """The answer."""
    return app(request("GET", PLAN, path_parameters={"tenant_id": tenant_id}, claims=claims(role=role)))


class TestGetPlan:
    def test_shows_the_plan(self, store: Store) -> None:
        operations.create_customer(store, created())
        answer = get_plan()
        assert answer["statusCode"] == 200
        assert json.loads(answer["body"]) == {"plan": {"plan": "pro", "billing": "manual"}, "requestId": REQUEST_ID}

    def test_waits_for_a_tenant_that_was_made_a_moment_ago(self, store: Store) -> None:
        arrival = Timer(0.1, operations.create_customer, (store, created()))
        arrival.start()
        answer = get_plan()
        arrival.join()
        assert answer["statusCode"] == 200

    def test_says_when_nothing_is_known_of_the_tenant(self, store: Store) -> None:
        operations.create_customer(store, created("demo-org2"))
        answer = get_plan()
        assert answer["statusCode"] == 503
        assert json.loads(answer["body"])["error"] == "DependencyUnavailable"
        assert answer["multiValueHeaders"]["Retry-After"] == ["1"]

    @pytest.mark.parametrize(("tenant_id", "role"), [("demo-org", Role.OBSERVER), ("demo-org2", Role.TENANT_ADMIN)])
    def test_refuses_observers_and_other_tenants(self, store: Store, tenant_id: str, role: Role) -> None:
        operations.create_customer(store, created(tenant_id))
        assert get_plan(tenant_id=tenant_id, role=role)["statusCode"] == 403
