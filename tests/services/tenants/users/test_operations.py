"""Operations on users: exact counts, updates of the pool, and always an admin."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from services.tenants.errors import (
    LastTenantAdmin,
    TenantNotFound,
    UserExists,
    UserLimitReached,
    UserNotFound,
    UserOfAnotherTenant,
    UserPoolUnavailable,
)
from services.tenants.partitions import SLICE
from services.tenants.tenants import operations as tenants
from services.tenants.tenants.domain.tenant import TenantChange
from services.tenants.tenants.table.tenants import TenantRecord
from services.tenants.users.domain import Invitation, User, UserChange, UserStatus
from services.tenants.users.gateway.fake import FakeUserPool
from services.tenants.users.gateway.user_pool import PoolUserAttributes, PoolUserIds
from services.tenants.users.operations import invitations, pool_sync, users
from services.tenants.users.operations.rollouts import roll_out_plan
from services.tenants.users.table.invitations import RETRY_WINDOW
from services.tenants.users.table.users import UserTable
from shared.errors import PreconditionFailed
from shared.plans import Plan
from shared.storage.idempotency import AlreadyDone, IdempotencyKey
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.conflicts import ConflictingDynamoDB, SerializedClient
from tests.dynamodb.memory_tables import MemoryTables
from tests.services.tenants.acme import LATER, NOW, outbox_events
from tests.services.tenants.interleaved import interleaved

OVERDUE = NOW + RETRY_WINDOW + timedelta(seconds=1)
A, B, C = "a@acme.com", "b@acme.com", "c@acme.com"


@pytest.fixture(name="user_pool")
def make_user_pool() -> FakeUserPool:
    return FakeUserPool()


@dataclass
class FailingOnce(FakeUserPool):
    """A pool that fails before or after it creates a user."""

    breaks: list[str] = field(default_factory=list[str])

    def ensure(self, user: PoolUserAttributes, *, temporary_password: str | None) -> PoolUserIds:
        how = self.breaks.pop(0) if self.breaks else ""
        if how == "before":
            raise UserPoolUnavailable
        pool_ids = super().ensure(user, temporary_password=temporary_password)
        if how == "after":
            raise UserPoolUnavailable
        return pool_ids


def invite(
    store: Store,
    user_pool: FakeUserPool,
    email: str,
    *,
    role: Role = Role.DEVELOPER,
    idempotency_key: IdempotencyKey | None = None,
) -> User:
    return invitations.invite_user(
        store, user_pool, "acme", Invitation(email, role, None, NOW), now=NOW, idempotency_key=idempotency_key
    )


def user_count(store: Store) -> int:
    return TenantRecord(store, "acme").get().usage.users


def sync(store: Store, user_pool: FakeUserPool, user: User) -> None:
    pool_sync.sync_user(store, user_pool, "acme", user.user_id)


def finished(store: Store, user_pool: FakeUserPool, *, now: datetime) -> int:
    return len(invitations.finish_invitations(store, user_pool, now=now).results)


class TestInviteUser:
    def test_creates_and_counts_a_user(self, store: Store, user_pool: FakeUserPool) -> None:
        user = invite(store, user_pool, A)
        assert users.list_users(store, "acme") == [user]
        assert (user.user_id, user.email, user.role, user.status) == (
            f"sub-of-{A}",
            A,
            Role.DEVELOPER,
            UserStatus.ACTIVE,
        )
        assert user_count(store) == 1
        assert user_pool.users[A] == PoolUserAttributes(A, Role.DEVELOPER, "acme", Plan.FREE, None)
        assert f"sub-of-{A}:invited" in [event["id"] for event in outbox_events(store)]

    def test_refuses_an_existing_user_without_counting_again(self, store: Store, user_pool: FakeUserPool) -> None:
        invite(store, user_pool, A)
        with pytest.raises(UserExists):
            invite(store, user_pool, A)
        assert user_count(store) == 1

    def test_refuses_at_the_limit_before_calling_the_pool(self, store: Store, user_pool: FakeUserPool) -> None:
        invite(store, user_pool, A)
        invite(store, user_pool, B)
        with pytest.raises(UserLimitReached):
            invite(store, user_pool, C)
        assert (user_count(store), set(user_pool.users)) == (2, {A, B})

    def test_address_of_another_tenant_occupies_no_seat(self, store: Store, user_pool: FakeUserPool) -> None:
        user_pool.ensure(PoolUserAttributes(A, Role.DEVELOPER, "other"), temporary_password=None)
        with pytest.raises(UserOfAnotherTenant):
            invite(store, user_pool, A)
        assert user_count(store) == 0

    def test_frees_the_seat_if_another_tenant_takes_the_address(self, store: Store, user_pool: FakeUserPool) -> None:
        theirs = PoolUserAttributes(A, Role.DEVELOPER, "other")
        other = interleaved(store, lambda: user_pool.ensure(theirs, temporary_password=None))
        with pytest.raises(UserOfAnotherTenant):
            invite(other, user_pool, A)
        assert user_count(store) == 0
        invite(store, user_pool, B)

    def test_replays_the_response_to_a_repeated_request(self, store: Store, user_pool: FakeUserPool) -> None:
        idempotency_key = IdempotencyKey("acme", "user:1 POST", "key", "hash", NOW)
        user = invite(store, user_pool, A, idempotency_key=idempotency_key)
        with pytest.raises(AlreadyDone) as done:
            idempotency_key.ensure_new(store)
        assert done.value.resource_id == user.user_id

    def test_one_of_two_invitations_of_an_address_succeeds_and_is_counted(
        self, store: Store, user_pool: FakeUserPool
    ) -> None:
        with pytest.raises(UserExists):
            invite(interleaved(store, lambda: invite(store, user_pool, A)), user_pool, A)
        assert (user_count(store), len(users.list_users(store, "acme"))) == (1, 1)

    def test_requires_an_existing_tenant(self, store: Store, user_pool: FakeUserPool) -> None:
        with pytest.raises(TenantNotFound):
            invitations.invite_user(store, user_pool, "none", Invitation(A, Role.ANALYST, None, NOW), now=NOW)
        assert user_pool.users == {}


@pytest.mark.parametrize("how", ["before", "after"])
class TestInterruptedInvitation:
    def test_occupies_a_seat(self, store: Store, how: str) -> None:
        with pytest.raises(UserPoolUnavailable):
            invite(store, FailingOnce(breaks=[how]), A)
        assert (user_count(store), users.list_users(store, "acme")) == (1, [])

    def test_retry_finishes_the_invitation(self, store: Store, how: str) -> None:
        user_pool = FailingOnce(breaks=[how])
        with pytest.raises(UserPoolUnavailable):
            invite(store, user_pool, A)
        user = invite(store, user_pool, A, role=Role.ANALYST)
        sync(store, user_pool, user)
        assert (user_count(store), user_pool.users[A].role) == (1, Role.ANALYST)

    def test_sweep_finishes_after_the_retry_window(self, store: Store, how: str) -> None:
        user_pool = FailingOnce(breaks=[how])
        with pytest.raises(UserPoolUnavailable):
            invite(store, user_pool, A)
        assert finished(store, user_pool, now=NOW) == 0
        assert finished(store, user_pool, now=OVERDUE) == 1
        assert finished(store, user_pool, now=OVERDUE) == 0
        assert (user_count(store), len(users.list_users(store, "acme")), set(user_pool.users)) == (1, 1, {A})


def test_sweep_withdraws_an_invitation_that_cannot_be_finished(store: Store) -> None:
    user_pool = FailingOnce(breaks=["before"])
    with pytest.raises(UserPoolUnavailable):
        invite(store, user_pool, A)
    user_pool.users[A] = PoolUserAttributes(A, Role.DEVELOPER, "other")
    assert finished(store, user_pool, now=OVERDUE) == 0
    assert user_count(store) == 0


class TestConcurrency:
    """On a database that cancels overlapping transactions, as AWS does."""

    def contended(self, store: Store, database: MemoryTables, *, limit: int) -> tuple[Store, ConflictingDynamoDB]:
        tenants.change_tenant(store, "acme", TenantChange(limits={"max_users": limit}), now=NOW)
        client = ConflictingDynamoDB(SerializedClient(database), hold_s=0.02)
        return Store(client, table=os.environ[SLICE.table.variable], owned=SLICE), client

    def test_invites_up_to_the_limit(self, store: Store, database: MemoryTables, user_pool: FakeUserPool) -> None:
        contended, client = self.contended(store, database, limit=7)

        def invited(number: int) -> bool:
            try:
                invite(contended, user_pool, f"u{number}@acme.com")
            except UserLimitReached:
                return False
            return True

        with ThreadPoolExecutor(12) as pool:
            made = list(pool.map(invited, range(12)))
        assert (sum(made), user_count(store), len(user_pool.users)) == (7, 7, 7)
        assert client.cancelled > 0

    def test_last_of_several_admins_remains(
        self, store: Store, database: MemoryTables, user_pool: FakeUserPool
    ) -> None:
        contended, client = self.contended(store, database, limit=-1)
        admins = [invite(store, user_pool, f"u{number}@acme.com", role=Role.TENANT_ADMIN) for number in range(8)]

        def gone(admin: User) -> bool:
            try:
                users.remove_user(contended, "acme", admin.user_id, now=LATER)
            except LastTenantAdmin:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(gone, admins)) == 7
        assert client.cancelled > 0
        [left] = [user for user in users.list_users(store, "acme") if user.is_active_admin]
        assert left.role is Role.TENANT_ADMIN


class TestChangeUser:
    def test_publishes_the_change_and_updates_the_pool(self, store: Store, user_pool: FakeUserPool) -> None:
        user = invite(store, user_pool, A)
        change = UserChange(role=Role.TENANT_ADMIN, features=("agents",), sets_features=True)
        after = users.change_user(store, user_pool, "acme", user.user_id, change, now=LATER)
        assert (after.role, after.seq) == (Role.TENANT_ADMIN, 2)
        [changed] = [event for event in outbox_events(store) if event["type"] == "user.role_changed.v1"]
        assert changed["data"] == {"user_id": user.user_id, "role": "tenant_admin"}
        sync(store, user_pool, user)
        assert (user_pool.users[A].role, user_pool.users[A].features) == (Role.TENANT_ADMIN, ("agents",))

    def test_changes_nothing_if_the_value_is_the_same(self, store: Store, user_pool: FakeUserPool) -> None:
        user = invite(store, user_pool, A)
        assert users.change_user(store, user_pool, "acme", user.user_id, UserChange(role=user.role), now=LATER) == user

    def test_refuses_another_role_for_the_last_admin(self, store: Store, user_pool: FakeUserPool) -> None:
        user = invite(store, user_pool, A, role=Role.TENANT_ADMIN)
        demotion = UserChange(role=Role.DEVELOPER)
        with pytest.raises(LastTenantAdmin):
            users.change_user(store, user_pool, "acme", user.user_id, demotion, now=LATER)
        invite(store, user_pool, B, role=Role.TENANT_ADMIN)
        users.change_user(store, user_pool, "acme", user.user_id, demotion, now=LATER)

    def test_one_of_two_concurrent_requests_is_refused(self, store: Store, user_pool: FakeUserPool) -> None:
        user = invite(store, user_pool, A)

        def to(role: Role, in_store: Store = store) -> User:
            return users.change_user(in_store, user_pool, "acme", user.user_id, UserChange(role=role), now=LATER)

        with pytest.raises(PreconditionFailed):
            to(Role.ANALYST, interleaved(store, lambda: to(Role.OBSERVER)))

    def test_pool_has_the_newest_state_in_any_order_of_events(self, store: Store, user_pool: FakeUserPool) -> None:
        user = invite(store, user_pool, A)

        @dataclass
        class ConcurrentlyUpdatedPool(FakeUserPool):
            """A pool during whose first update the row changes and is synced again."""

            late: bool = True

            def update(self, username: str, user: PoolUserAttributes) -> None:
                if self.late:
                    self.late = False
                    users.change_user(
                        store, user_pool, "acme", f"sub-of-{A}", UserChange(role=Role.OBSERVER), now=LATER
                    )
                    pool_sync.sync_user(store, self, "acme", f"sub-of-{A}")
                super().update(username, user)

        slow = ConcurrentlyUpdatedPool(users=user_pool.users)
        sync(store, slow, user)
        assert slow.users[A].role is Role.OBSERVER

    def test_new_plan_reaches_all_tokens(self, store: Store, user_pool: FakeUserPool) -> None:
        for email in (A, B):
            invite(store, user_pool, email)
        tenants.change_tenant(store, "acme", TenantChange(plan=Plan.PRO), now=LATER)
        roll_out_plan(store, user_pool, "acme", "1", now=LATER)
        assert {user.plan for user in user_pool.users.values()} == {Plan.PRO}


class TestRemoveUser:
    def test_frees_the_seat_once_the_pool_confirms(self, store: Store, user_pool: FakeUserPool) -> None:
        user = invite(store, user_pool, A)
        users.remove_user(store, "acme", user.user_id, now=LATER)
        assert (user_count(store), A in user_pool.users) == (1, True)
        sync(store, user_pool, user)
        assert (user_count(store), A in user_pool.users) == (0, False)
        sync(store, user_pool, user)
        assert (user_count(store), users.list_users(store, "acme")) == (0, [])

    def test_user_being_removed_is_not_listed_and_not_found(self, store: Store, user_pool: FakeUserPool) -> None:
        user = invite(store, user_pool, A)
        users.remove_user(store, "acme", user.user_id, now=LATER)
        assert UserTable(store, "acme").page(limit=10, after=None) == ([], None)
        with pytest.raises(UserNotFound):
            users.remove_user(store, "acme", user.user_id, now=LATER)

    def test_refuses_to_remove_the_last_admin(self, store: Store, user_pool: FakeUserPool) -> None:
        user = invite(store, user_pool, A, role=Role.TENANT_ADMIN)
        with pytest.raises(LastTenantAdmin):
            users.remove_user(store, "acme", user.user_id, now=LATER)
        with pytest.raises(LastTenantAdmin):
            users.disable_user(store, "acme", user.user_id, now=LATER)

    def test_one_of_two_admins_removed_concurrently_remains(self, store: Store, user_pool: FakeUserPool) -> None:
        one, other = (invite(store, user_pool, email, role=Role.TENANT_ADMIN) for email in (A, B))
        meanwhile = interleaved(store, lambda: users.remove_user(store, "acme", other.user_id, now=LATER))
        with pytest.raises(LastTenantAdmin):
            users.remove_user(meanwhile, "acme", one.user_id, now=LATER)

    def test_can_invite_a_removed_address_again(self, store: Store, user_pool: FakeUserPool) -> None:
        user = invite(store, user_pool, A)
        users.remove_user(store, "acme", user.user_id, now=LATER)
        with pytest.raises(UserExists):
            invite(store, user_pool, A)
        sync(store, user_pool, user)
        invite(store, user_pool, A)
        assert user_count(store) == 1


class TestDisableUser:
    def test_keeps_the_seat_and_disables_sign_in(self, store: Store, user_pool: FakeUserPool) -> None:
        user = invite(store, user_pool, A)
        users.disable_user(store, "acme", user.user_id, now=LATER)
        sync(store, user_pool, user)
        assert (user_count(store), user_pool.disabled) == (1, {A})

    def test_disables_platform_admins_by_address(self, store: Store, user_pool: FakeUserPool) -> None:
        admin = Invitation("root@platform.com", Role.PLATFORM_ADMIN, None, NOW)
        assert invitations.create_user(store, user_pool, None, admin, temporary_password=None)
        users.disable_by_address(store, user_pool, "Root@Platform.com", now=LATER)
        assert user_pool.disabled == {"root@platform.com"}
        with pytest.raises(UserNotFound):
            users.disable_by_address(store, user_pool, "unknown@acme.com", now=LATER)


class TestPages:
    def test_are_newest_first(self, store: Store, user_pool: FakeUserPool) -> None:
        for email in (A, B):
            invite(store, user_pool, email)
        first, after = UserTable(store, "acme").page(limit=1, after=None)
        second, end = UserTable(store, "acme").page(limit=1, after=after)
        assert [user.email for user in (*first, *second)] == [B, A]
        assert end is None or UserTable(store, "acme").page(limit=1, after=end) == ([], None)
