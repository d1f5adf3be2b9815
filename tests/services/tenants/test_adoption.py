"""What was made with AWS tools is announced once."""

import pytest

from services.tenants.gateways.identity import NewUser
from services.tenants.gateways.memory import FakeIdentity
from services.tenants.operations import users
from services.tenants.operations.adoption import Adopted, adopt
from services.tenants.table.tenants import get_tenant, list_tenants
from shared.plans import LIMITS, Plan
from shared.storage.items import Value
from shared.storage.store import Store
from shared.storage.transaction import Transaction
from shared.tenancy.permissions import Role
from tests.services.tenants.acme import NOW, said

ROLES = {"a@made.com": Role.TENANT_ADMIN, "b@made.com": Role.DEVELOPER}


@pytest.fixture(name="made")
def make_tenant(store: Store) -> Store:
    """A tenant as the guide makes it, with one limit of its own and a count that nobody counted."""
    _write(store, limits={**LIMITS[Plan.PRO].to_item(), "max_users": 5})
    return store


def _write(store: Store, *, limits: dict[str, Value]) -> None:
    item: dict[str, Value] = {
        "PK": "TENANT#made",
        "SK": "CONFIG",
        "tenantId": "made",
        "name": "Made",
        "plan": "pro",
        "limits": limits,
        "current_usage": {"users": 4, "projects": 0, "storage_gb": 0, "monthly_requests": 0, "monthly_tokens": 0},
        "status": "active",
        "created_at": "2026-11-01T00:00:00Z",
        "updated_at": "2026-11-01T00:00:00Z",
    }
    transaction = Transaction("made")
    transaction.put(item)
    store.commit(transaction)


@pytest.fixture(name="identity")
def make_identity() -> FakeIdentity:
    return FakeIdentity({email: NewUser(email, role, "made") for email, role in ROLES.items()})


class TestAdopt:
    def test_announces_tenants_and_users(self, made: Store, identity: FakeIdentity) -> None:
        assert adopt(made, identity, ["made"], now=NOW) == Adopted(["made"], list(ROLES))
        tenant = get_tenant(made, "made")
        assert (tenant.seq, tenant.usage.users, tenant.own_limits) == (1, 2, {"max_users": 5})
        assert sorted(event["type"] for event in said(made, "made")) == [
            "tenant.created.v1",
            "user.invited.v1",
            "user.invited.v1",
        ]
        assert "made" in [tenant.tenant_id for tenant in list_tenants(made)]
        assert {user.email: user.role for user in users.list_users(made, "made")} == ROLES

    def test_takes_the_plans_limit_where_the_item_has_none(self, made: Store, identity: FakeIdentity) -> None:
        limits = {name: value for name, value in LIMITS[Plan.PRO].to_item().items() if name != "max_concurrent_runs"}
        _write(made, limits=limits)
        adopt(made, identity, ["made"], now=NOW)
        tenant = get_tenant(made, "made")
        assert (tenant.limits.max_concurrent_runs, tenant.own_limits) == (50, {})

    def test_a_second_time_it_says_nothing(self, made: Store, identity: FakeIdentity) -> None:
        adopt(made, identity, ["made"], now=NOW)
        events = said(made, "made")
        assert adopt(made, identity, ["made"], now=NOW) == Adopted()
        assert (said(made, "made"), get_tenant(made, "made").usage.users) == (events, 2)

    def test_what_cannot_be_adopted_is_said(self, made: Store) -> None:
        pool = FakeIdentity(
            {
                "x@none.com": NewUser("x@none.com", Role.ANALYST, "none"),
                "y@made.com": NewUser("y@made.com", Role.PLATFORM_ADMIN, "made"),
                "root@platform.com": NewUser("root@platform.com", Role.PLATFORM_ADMIN, None),
            }
        )
        assert set(adopt(made, pool, ["none"], now=NOW).left) == {"none", "x@none.com", "y@made.com"}

    def test_one_over_the_limit_is_counted_all_the_same(self, store: Store) -> None:
        pool = FakeIdentity({f"{n}@acme.com": NewUser(f"{n}@acme.com", Role.ANALYST, "acme") for n in range(3)})
        adopt(store, pool, [], now=NOW)
        assert get_tenant(store, "acme").usage.users == 3
