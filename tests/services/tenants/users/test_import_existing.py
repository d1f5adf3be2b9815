"""The import of tenants and users that were created with AWS tools."""

import pytest

from services.tenants.tenants.table.tenants import AllTenants, TenantRecord
from services.tenants.users.gateway.fake import FakeUserPool
from services.tenants.users.gateway.user_pool import PoolUserAttributes
from services.tenants.users.operations import users
from services.tenants.users.operations.import_existing import ImportResult, import_existing
from shared.deadline import invocation
from shared.plans import LIMITS, Plan
from shared.storage.items import Value
from shared.storage.store import Store
from shared.storage.transaction import Transaction
from shared.tenancy.permissions import Role
from tests.services.tenants.acme import NOW, outbox_events
from tests.services.tenants.users.test_rollouts import ExpiredContext

ROLES = {"a@made.com": Role.TENANT_ADMIN, "b@made.com": Role.DEVELOPER}


@pytest.fixture(name="made")
def make_tenant(store: Store) -> Store:
    """Create a tenant as the guide does, with one own limit and a count that is wrong."""
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


@pytest.fixture(name="user_pool")
def make_user_pool() -> FakeUserPool:
    return FakeUserPool({email: PoolUserAttributes(email, role, "made") for email, role in ROLES.items()})


class TestImportExisting:
    def test_publishes_tenants_and_users(self, made: Store, user_pool: FakeUserPool) -> None:
        assert import_existing(made, user_pool, ["made"], now=NOW) == ImportResult(["made"], list(ROLES))
        tenant = TenantRecord(made, "made").get()
        assert (tenant.seq, tenant.usage.users, tenant.own_limits) == (1, 2, {"max_users": 5})
        assert sorted(event["type"] for event in outbox_events(made, "made")) == [
            "tenant.created.v1",
            "user.invited.v1",
            "user.invited.v1",
        ]
        assert "made" in [tenant.tenant_id for tenant in AllTenants(made)]
        assert {user.email: user.role for user in users.list_users(made, "made")} == ROLES

    def test_uses_the_plans_limit_if_the_item_has_none(self, made: Store, user_pool: FakeUserPool) -> None:
        limits = {name: value for name, value in LIMITS[Plan.PRO].to_item().items() if name != "max_concurrent_runs"}
        _write(made, limits=limits)
        import_existing(made, user_pool, ["made"], now=NOW)
        tenant = TenantRecord(made, "made").get()
        assert (tenant.limits.max_concurrent_runs, tenant.own_limits) == (50, {})

    def test_publishes_nothing_the_second_time(self, made: Store, user_pool: FakeUserPool) -> None:
        import_existing(made, user_pool, ["made"], now=NOW)
        events = outbox_events(made, "made")
        assert import_existing(made, user_pool, ["made"], now=NOW) == ImportResult()
        assert (outbox_events(made, "made"), TenantRecord(made, "made").get().usage.users) == (events, 2)

    def test_reports_what_cannot_be_imported(self, made: Store) -> None:
        pool = FakeUserPool(
            {
                "x@none.com": PoolUserAttributes("x@none.com", Role.ANALYST, "none"),
                "y@made.com": PoolUserAttributes("y@made.com", Role.PLATFORM_ADMIN, "made"),
                "root@platform.com": PoolUserAttributes("root@platform.com", Role.PLATFORM_ADMIN, None),
            }
        )
        assert set(import_existing(made, pool, ["none"], now=NOW).left) == {"none", "x@none.com", "y@made.com"}

    @pytest.mark.report(24)
    def test_reports_addresses_that_are_not_in_their_normal_form(self, made: Store) -> None:
        odd = {"a\u202eb@made.com": "unsafe characters", "jose\u0301@made.com": "normal form"}
        user_pool = FakeUserPool(
            {email: PoolUserAttributes(email, Role.DEVELOPER, "made") for email in (*odd, "Jos\xe9@made.com")}
        )
        result = import_existing(made, user_pool, ["made"], now=NOW)
        assert {*result.left} == {*odd}
        assert all(reason in result.left[email] for email, reason in odd.items())
        [user] = users.list_users(made, "made")
        assert user.email == "jos\xe9@made.com"

    def test_counts_imported_users_above_the_limit(self, store: Store) -> None:
        pool = FakeUserPool(
            {f"{n}@acme.com": PoolUserAttributes(f"{n}@acme.com", Role.ANALYST, "acme") for n in range(3)}
        )
        import_existing(store, pool, [], now=NOW)
        assert TenantRecord(store, "acme").get().usage.users == 3

    def test_resumes_with_the_next_users_after_the_deadline(self, store: Store) -> None:
        pool = FakeUserPool(
            {f"{n}@acme.com": PoolUserAttributes(f"{n}@acme.com", Role.ANALYST, "acme") for n in range(5)}
        )
        with invocation(ExpiredContext()):
            first = import_existing(store, pool, [], now=NOW)
        assert (len(first.users), TenantRecord(store, "acme").get().usage.users) == (2, 2)
        assert len(import_existing(store, pool, [], now=NOW, token=first.next_token).users) == 3

    def test_failing_user_does_not_stop_the_import(self, store: Store) -> None:
        long = f"{'x' * 1100}@acme.com"
        emails = [long, "a@acme.com"]
        pool = FakeUserPool({email: PoolUserAttributes(email, Role.ANALYST, "acme") for email in emails})
        result = import_existing(store, pool, [], now=NOW)
        assert (result.users, list(result.left)) == (["a@acme.com"], [long])
