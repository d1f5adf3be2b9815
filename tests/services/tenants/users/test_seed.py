"""The default tenants and users."""

import pytest

from services.tenants.tenants.table.tenants import TenantRecord
from services.tenants.users.domain import Invitation
from services.tenants.users.gateway.fake import FakeUserPool
from services.tenants.users.operations import invitations, users
from services.tenants.users.operations import seed as seeding
from shared.errors import InvalidRequest
from shared.plans import LIMITS, Plan
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.services.tenants.acme import NOW, outbox_events


class TestCreateUser:
    def create(self, store: Store, user_pool: FakeUserPool, role: Role, tenant_id: str | None) -> bool:
        asked = Invitation("root@platform.com", role, None, NOW)
        return invitations.create_user(store, user_pool, tenant_id, asked, temporary_password=None)

    def test_a_platform_admin_belongs_to_no_tenant(self, store: Store) -> None:
        user_pool = FakeUserPool()
        assert [self.create(store, user_pool, Role.PLATFORM_ADMIN, None) for _ in range(2)] == [True, False]
        assert users.list_users(store, "acme") == []

    @pytest.mark.parametrize(("role", "tenant_id"), [(Role.PLATFORM_ADMIN, "acme"), (Role.DEVELOPER, None)])
    def test_requires_a_tenant_except_for_platform_admins(
        self, store: Store, role: Role, tenant_id: str | None
    ) -> None:
        with pytest.raises(InvalidRequest):
            self.create(store, FakeUserPool(), role, tenant_id)


class TestSeed:
    def seed(self, store: Store, user_pool: FakeUserPool) -> seeding.SeedResult:
        return seeding.seed(
            store, user_pool, platform_admin="root@platform.com", temporary_password="Secret-1234", now=NOW
        )

    def test_creates_the_default_tenants_and_users(self, store: Store) -> None:
        seeded = self.seed(store, FakeUserPool())
        assert seeded.tenants == {"demo-org": True, "enterprise-test": True}
        assert {user.email: made for user, made in seeded.users.items()} == {
            "admin@demo-org.com": True,
            "dev@demo-org.com": True,
            "root@platform.com": True,
        }
        demo, enterprise = (TenantRecord(store, name).get() for name in ("demo-org", "enterprise-test"))
        assert (demo.name, demo.plan, demo.limits) == ("Demo Organization", Plan.PRO, LIMITS[Plan.PRO])
        assert (enterprise.name, enterprise.limits.max_users) == ("Enterprise Test Organization", 100)

    def test_creates_nothing_the_second_time(self, store: Store) -> None:
        user_pool = FakeUserPool()
        self.seed(store, user_pool)
        events = outbox_events(store, "demo-org")
        again = self.seed(store, user_pool)
        assert not any(again.tenants.values())
        assert not any(again.users.values())
        assert outbox_events(store, "demo-org") == events
        assert TenantRecord(store, "demo-org").get().usage.users == 2

    def test_creates_a_developer_with_two_features(self, store: Store) -> None:
        user_pool = FakeUserPool()
        self.seed(store, user_pool)
        assert user_pool.users["dev@demo-org.com"].features == ("agents", "experiments")
        assert user_pool.users["admin@demo-org.com"].features is None
