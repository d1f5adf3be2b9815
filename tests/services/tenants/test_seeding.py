"""The default tenants and users."""

import pytest

from services.tenants.domain.user import Invitation
from services.tenants.gateways.memory import FakeIdentity
from services.tenants.operations import seeding, users
from services.tenants.table.tenants import get_tenant
from shared.errors import InvalidRequest
from shared.plans import LIMITS, Plan
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.services.tenants.acme import NOW, said


class TestCreateUser:
    def create(self, store: Store, identity: FakeIdentity, role: Role, tenant_id: str | None) -> bool:
        asked = Invitation("root@platform.com", role, None, NOW)
        return users.create_user(store, identity, tenant_id, asked, temporary_password=None)

    def test_a_platform_admin_belongs_to_no_tenant(self, store: Store) -> None:
        identity = FakeIdentity()
        assert [self.create(store, identity, Role.PLATFORM_ADMIN, None) for _ in range(2)] == [True, False]
        assert users.list_users(store, "acme") == []

    @pytest.mark.parametrize(("role", "tenant_id"), [(Role.PLATFORM_ADMIN, "acme"), (Role.DEVELOPER, None)])
    def test_nobody_else_does_and_no_tenant_has_one(self, store: Store, role: Role, tenant_id: str | None) -> None:
        with pytest.raises(InvalidRequest):
            self.create(store, FakeIdentity(), role, tenant_id)


class TestSeed:
    def seed(self, store: Store, identity: FakeIdentity) -> seeding.Seeded:
        return seeding.seed(
            store, identity, platform_admin="root@platform.com", temporary_password="Secret-1234", now=NOW
        )

    def test_makes_the_default_tenants_and_users(self, store: Store) -> None:
        seeded = self.seed(store, FakeIdentity())
        assert seeded.tenants == {"demo-org": True, "enterprise-test": True}
        assert {user.email: made for user, made in seeded.users.items()} == {
            "admin@demo-org.com": True,
            "dev@demo-org.com": True,
            "root@platform.com": True,
        }
        demo, enterprise = (get_tenant(store, name) for name in ("demo-org", "enterprise-test"))
        assert (demo.name, demo.plan, demo.limits) == ("Demo Organization", Plan.PRO, LIMITS[Plan.PRO])
        assert (enterprise.name, enterprise.limits.max_users) == ("Enterprise Test Organization", 100)

    def test_a_second_time_makes_nothing(self, store: Store) -> None:
        identity = FakeIdentity()
        self.seed(store, identity)
        events = said(store, "demo-org")
        again = self.seed(store, identity)
        assert not any(again.tenants.values())
        assert not any(again.users.values())
        assert said(store, "demo-org") == events
        assert get_tenant(store, "demo-org").usage.users == 2

    def test_the_developer_has_two_features(self, store: Store) -> None:
        identity = FakeIdentity()
        self.seed(store, identity)
        assert identity.users["dev@demo-org.com"].features == ("agents", "experiments")
        assert identity.users["admin@demo-org.com"].features is None
