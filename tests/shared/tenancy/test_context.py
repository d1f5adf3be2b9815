"""Nobody acts in another tenant."""

import pytest

from shared.errors import Forbidden, PaymentRequired
from shared.tenancy.claims import Claims
from shared.tenancy.context import Allowance, TenantAccess, TenantContext, bind, check_may_change
from shared.tenancy.permissions import Feature, Role

DEVELOPER = Claims("8f1c", Role.DEVELOPER, "acme", ("agents",))
PLATFORM_ADMIN = Claims("1", Role.PLATFORM_ADMIN, None, None)


def bound(claims: Claims, path_tenant: str | None, least: Role = Role.DEVELOPER) -> TenantContext:
    return bind(claims, path_tenant=path_tenant, least=least, request_id="r1")


class TestBind:
    @pytest.mark.parametrize("path_tenant", ["acme", None])
    def test_binds_to_the_tokens_tenant(self, path_tenant: str | None) -> None:
        assert bound(DEVELOPER, path_tenant) == TenantContext("acme", "user:8f1c", Role.DEVELOPER, ("agents",), "r1")

    @pytest.mark.parametrize("path_tenant", ["other", "acme2", "acm", "acme#RUNS", "ACME", " acme"])
    def test_refuses_every_other_path(self, path_tenant: str) -> None:
        with pytest.raises(Forbidden, match="not open to you"):
            bound(DEVELOPER, path_tenant)

    def test_refuses_a_role_that_is_not_enough(self) -> None:
        with pytest.raises(Forbidden, match="tenant_admin"):
            bound(DEVELOPER, "acme", Role.TENANT_ADMIN)

    def test_tells_of_another_tenant_nothing_of_the_role(self) -> None:
        with pytest.raises(Forbidden, match="not open to you"):
            bound(DEVELOPER, "other", Role.TENANT_ADMIN)

    def test_a_platform_admin_acts_in_the_paths_tenant(self) -> None:
        assert bound(PLATFORM_ADMIN, "acme", Role.TENANT_ADMIN).tenant_id == "acme"

    @pytest.mark.parametrize("path_tenant", ["acme#BILLING", "a", "../acme", "acme/x", "*"])
    def test_a_platform_admin_cannot_name_what_is_no_tenant(self, path_tenant: str) -> None:
        with pytest.raises(Forbidden, match="not open to you"):
            bound(PLATFORM_ADMIN, path_tenant)

    def test_a_platform_admin_has_no_tenant_of_its_own(self) -> None:
        with pytest.raises(Forbidden):
            bound(PLATFORM_ADMIN, None)


class TestCheckMayChange:
    CALLER = bound(DEVELOPER, "acme")

    def access(self, status: str = "active", features: tuple[str, ...] = ("all",)) -> TenantAccess:
        return TenantAccess("acme", 1, status, "pro", features, Allowance(1_000, 100_000, 1, overage=False))

    def test_lets_an_active_tenant_with_the_feature_pass(self) -> None:
        check_may_change(self.CALLER, self.access(), Feature.AGENTS)
        check_may_change(self.CALLER, self.access(features=()), None)

    def test_a_tenant_that_has_not_paid_is_asked_to(self) -> None:
        with pytest.raises(PaymentRequired):
            check_may_change(self.CALLER, self.access("suspended_by_billing"), None)

    @pytest.mark.parametrize("status", ["suspended", "deleted", "", "Active"])
    def test_refuses_in_every_other_state(self, status: str) -> None:
        with pytest.raises(Forbidden) as refused:
            check_may_change(self.CALLER, self.access(status), None)
        assert not isinstance(refused.value, PaymentRequired)

    def test_refuses_without_the_tenants_feature(self) -> None:
        with pytest.raises(Forbidden, match="agents"):
            check_may_change(self.CALLER, self.access(features=("linting",)), Feature.AGENTS)

    def test_refuses_without_the_tokens_feature(self) -> None:
        with pytest.raises(Forbidden, match="linting"):
            check_may_change(self.CALLER, self.access(), Feature.LINTING)
