"""A caller cannot act in another tenant."""

from dataclasses import replace

import pytest

from shared.errors import Forbidden, PaymentRequired
from shared.tenancy.claims import Claims
from shared.tenancy.context import Allowance, OperatorContext, TenantAccess, TenantContext, bind, check_may_change
from shared.tenancy.permissions import SCOPES, Feature, Role, scope_of

SCOPE = "runs:write"
DEVELOPER = Claims("user:8f1c", Role.DEVELOPER, "acme", ("agents",))
PLATFORM_ADMIN = Claims("user:1", Role.PLATFORM_ADMIN, None)
KEY = Claims("key:key_1", Role.DEVELOPER, "acme")


def bound(
    claims: Claims, path_tenant: str | None, min_role: Role = Role.DEVELOPER, *, scope: str | None = SCOPE
) -> TenantContext:
    context = bind(claims, path_tenant=path_tenant, min_role=min_role, scope=scope, request_id="r1")
    assert isinstance(context, TenantContext)
    return context


class TestBind:
    @pytest.mark.parametrize("path_tenant", ["acme", None])
    def test_binds_to_the_tokens_tenant(self, path_tenant: str | None) -> None:
        assert bound(DEVELOPER, path_tenant) == TenantContext("acme", "user:8f1c", Role.DEVELOPER, ("agents",), "r1")

    @pytest.mark.parametrize("path_tenant", ["other", "acme2", "acm", "acme#RUNS", "ACME", " acme"])
    def test_refuses_every_other_path(self, path_tenant: str) -> None:
        with pytest.raises(Forbidden, match="not have access to this resource"):
            bound(DEVELOPER, path_tenant)

    def test_refuses_an_insufficient_role(self) -> None:
        with pytest.raises(Forbidden, match="tenant_admin"):
            bound(DEVELOPER, "acme", Role.TENANT_ADMIN)

    def test_does_not_reveal_the_role_for_another_tenant(self) -> None:
        with pytest.raises(Forbidden, match="not have access to this resource"):
            bound(DEVELOPER, "other", Role.TENANT_ADMIN)

    def test_binds_a_platform_admin_to_the_tenant_of_the_path(self) -> None:
        assert bound(PLATFORM_ADMIN, "acme", Role.TENANT_ADMIN).tenant_id == "acme"

    @pytest.mark.parametrize("path_tenant", ["acme#BILLING", "a", "../acme", "acme/x", "*"])
    def test_refuses_an_invalid_tenant_id_of_a_platform_admin(self, path_tenant: str) -> None:
        with pytest.raises(Forbidden, match="not have access to this resource"):
            bound(PLATFORM_ADMIN, path_tenant)

    @pytest.mark.parametrize("min_role", [Role.OBSERVER, Role.PLATFORM_ADMIN])
    def test_binds_a_platform_admin_to_no_tenant_without_one_in_the_path(self, min_role: Role) -> None:
        context = bind(PLATFORM_ADMIN, path_tenant=None, min_role=min_role, scope=SCOPE, request_id="r1")
        assert context == OperatorContext("user:1", Role.PLATFORM_ADMIN, "r1")

    def test_returns_an_operator_context_on_an_operator_path(self) -> None:
        context = bind(
            PLATFORM_ADMIN, path_tenant=None, min_role=Role.PLATFORM_ADMIN, scope="runs:read", request_id="r1"
        )
        assert context == OperatorContext("user:1", Role.PLATFORM_ADMIN, "r1")

    def test_refuses_other_roles_on_an_operator_path(self) -> None:
        with pytest.raises(Forbidden, match="platform_admin"):
            bind(DEVELOPER, path_tenant=None, min_role=Role.PLATFORM_ADMIN, scope=SCOPE, request_id="r1")


class TestApiKey:
    def test_without_scopes_can_call_all_that_its_role_allows(self) -> None:
        assert bound(KEY, "acme") == TenantContext("acme", "key:key_1", Role.DEVELOPER, None, "r1")

    def test_with_scopes_needs_the_one_of_the_route(self) -> None:
        reader = replace(KEY, scopes=frozenset({"runs:read"}))
        assert bound(reader, "acme", scope="runs:read").principal == "key:key_1"
        with pytest.raises(Forbidden, match="needs the scope runs:write"):
            bound(reader, "acme", scope="runs:write")

    def test_cannot_call_routes_without_a_scope(self) -> None:
        with pytest.raises(Forbidden, match="API keys cannot call this route"):
            bound(KEY, "acme", scope=None)

    def test_is_bound_to_its_tenant_and_role(self) -> None:
        with pytest.raises(Forbidden, match="not have access to this resource"):
            bound(KEY, "other")
        with pytest.raises(Forbidden, match="tenant_admin"):
            bound(KEY, "acme", Role.TENANT_ADMIN)


class TestScopeOf:
    @pytest.mark.parametrize(
        ("method", "path", "scope"),
        [
            ("GET", "/v1/tenants/{tenant_id}", "tenant:read"),
            ("PATCH", "/v1/tenants/{tenant_id}", "tenant:write"),
            ("GET", "/v1/tenants/{tenant_id}/runs/{run_id}/stream", "runs:read"),
            ("POST", "/v1/tenants/{tenant_id}/agents", "agents:write"),
            ("DELETE", "/v1/tenants/{tenant_id}/provider-keys/{provider}", "provider-keys:write"),
        ],
    )
    def test_names_the_part_of_the_api(self, method: str, path: str, scope: str) -> None:
        assert scope_of(method, path) == scope
        assert scope in SCOPES

    @pytest.mark.parametrize("path", ["/v1/tenants", "/v1/admin/tenants", "/v1/tenants/{tenant_id}/api-keys"])
    def test_is_no_scope_of_a_key_elsewhere(self, path: str) -> None:
        assert scope_of("GET", path) not in SCOPES


class TestCheckMayChange:
    CALLER = bound(DEVELOPER, "acme")

    def access(self, status: str = "active", features: tuple[str, ...] = ("all",)) -> TenantAccess:
        return TenantAccess("acme", 1, status, "pro", features, Allowance(1_000, 100_000, 1, overage=False))

    def test_allows_an_active_tenant_with_the_feature(self) -> None:
        check_may_change(self.CALLER, self.access(), Feature.AGENTS)
        check_may_change(self.CALLER, self.access(features=()), None)

    def test_requires_payment_after_a_suspension_by_billing(self) -> None:
        with pytest.raises(PaymentRequired):
            check_may_change(self.CALLER, self.access("suspended_by_billing"), None)

    @pytest.mark.parametrize("status", ["suspended", "deleted", "", "Active"])
    def test_refuses_every_other_status(self, status: str) -> None:
        with pytest.raises(Forbidden) as refused:
            check_may_change(self.CALLER, self.access(status), None)
        assert not isinstance(refused.value, PaymentRequired)

    def test_refuses_without_the_tenants_feature(self) -> None:
        with pytest.raises(Forbidden, match="agents"):
            check_may_change(self.CALLER, self.access(features=("linting",)), Feature.AGENTS)

    def test_refuses_without_the_tokens_feature(self) -> None:
        with pytest.raises(Forbidden, match="linting"):
            check_may_change(self.CALLER, self.access(), Feature.LINTING)
