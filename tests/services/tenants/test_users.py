"""Users: counted exactly, followed by the pool, and never without an admin."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from services.tenants.domain.tenant import TenantChange
from services.tenants.domain.user import Invitation, User, UserChange, UserStatus
from services.tenants.errors import (
    IdentityUnavailable,
    LastTenantAdmin,
    TenantNotFound,
    UserExists,
    UserLimitReached,
    UserNotFound,
    UserOfAnotherTenant,
)
from services.tenants.gateways.identity import NewUser, SignIn
from services.tenants.gateways.memory import FakeIdentity
from services.tenants.operations import tenants, users
from services.tenants.table import SLICE
from services.tenants.table.tenants import get_tenant
from services.tenants.table.users import PATIENCE, page_of_users
from shared.errors import PreconditionFailed
from shared.plans import Plan
from shared.storage.idempotency import AlreadyDone, Once
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.conflicts import ConflictingDynamoDB, OneAtATime
from tests.dynamodb.tables import MemoryTables
from tests.services.tenants.acme import LATER, NOW, said
from tests.services.tenants.interleaved import interleaved

OVERDUE = NOW + PATIENCE + timedelta(seconds=1)
A, B, C = "a@acme.com", "b@acme.com", "c@acme.com"


@pytest.fixture(name="identity")
def make_identity() -> FakeIdentity:
    return FakeIdentity()


@dataclass
class Breaking(FakeIdentity):
    """A pool that breaks off after it has done, or before it does, what it was asked for."""

    breaks: list[str] = field(default_factory=list[str])

    def ensure(self, user: NewUser, *, temporary_password: str | None) -> SignIn:
        how = self.breaks.pop(0) if self.breaks else ""
        if how == "before":
            raise IdentityUnavailable
        signs_in = super().ensure(user, temporary_password=temporary_password)
        if how == "after":
            raise IdentityUnavailable
        return signs_in


def invite(
    store: Store, identity: FakeIdentity, email: str, *, role: Role = Role.DEVELOPER, once: Once | None = None
) -> User:
    return users.invite_user(store, identity, "acme", Invitation(email, role, None, NOW), now=NOW, once=once)


def counted(store: Store) -> int:
    return get_tenant(store, "acme").usage.users


def follow(store: Store, identity: FakeIdentity, user: User) -> None:
    users.follow_user(store, identity, "acme", user.user_id)


class TestInviteUser:
    def test_lets_somebody_sign_in_and_counts(self, store: Store, identity: FakeIdentity) -> None:
        user = invite(store, identity, A)
        assert users.list_users(store, "acme") == [user]
        assert (user.user_id, user.email, user.role, user.status) == (
            f"sub-of-{A}",
            A,
            Role.DEVELOPER,
            UserStatus.ACTIVE,
        )
        assert counted(store) == 1
        assert identity.users[A] == NewUser(A, Role.DEVELOPER, "acme", Plan.FREE, None)
        assert f"sub-of-{A}:invited" in [event["id"] for event in said(store)]

    def test_one_who_is_there_is_refused_and_not_counted_twice(self, store: Store, identity: FakeIdentity) -> None:
        invite(store, identity, A)
        with pytest.raises(UserExists):
            invite(store, identity, A)
        assert counted(store) == 1

    def test_stops_at_the_limit_before_the_pool_is_asked(self, store: Store, identity: FakeIdentity) -> None:
        invite(store, identity, A)
        invite(store, identity, B)
        with pytest.raises(UserLimitReached):
            invite(store, identity, C)
        assert (counted(store), set(identity.users)) == (2, {A, B})

    def test_an_address_of_another_tenant_takes_no_place(self, store: Store, identity: FakeIdentity) -> None:
        identity.ensure(NewUser(A, Role.DEVELOPER, "other"), temporary_password=None)
        with pytest.raises(UserOfAnotherTenant):
            invite(store, identity, A)
        assert counted(store) == 0

    def test_one_that_another_tenant_takes_meanwhile_gives_its_place_back(
        self, store: Store, identity: FakeIdentity
    ) -> None:
        theirs = NewUser(A, Role.DEVELOPER, "other")
        other = interleaved(store, lambda: identity.ensure(theirs, temporary_password=None))
        with pytest.raises(UserOfAnotherTenant):
            invite(other, identity, A)
        assert counted(store) == 0
        invite(store, identity, B)

    def test_the_same_request_again_is_answered(self, store: Store, identity: FakeIdentity) -> None:
        once = Once("acme", "user:1 POST", "key", "hash", NOW)
        user = invite(store, identity, A, once=once)
        with pytest.raises(AlreadyDone) as done:
            once.ensure_new(store)
        assert done.value.resource_id == user.user_id

    def test_of_two_at_once_for_one_address_one_wins_and_one_is_counted(
        self, store: Store, identity: FakeIdentity
    ) -> None:
        with pytest.raises(UserExists):
            invite(interleaved(store, lambda: invite(store, identity, A)), identity, A)
        assert (counted(store), len(users.list_users(store, "acme"))) == (1, 1)

    def test_needs_a_tenant(self, store: Store, identity: FakeIdentity) -> None:
        with pytest.raises(TenantNotFound):
            users.invite_user(store, identity, "none", Invitation(A, Role.ANALYST, None, NOW), now=NOW)
        assert identity.users == {}


@pytest.mark.parametrize("how", ["before", "after"])
class TestAnInvitationThatBreaksOff:
    def test_has_taken_its_place(self, store: Store, how: str) -> None:
        with pytest.raises(IdentityUnavailable):
            invite(store, Breaking(breaks=[how]), A)
        assert (counted(store), users.list_users(store, "acme")) == (1, [])

    def test_is_finished_by_the_next_try(self, store: Store, how: str) -> None:
        identity = Breaking(breaks=[how])
        with pytest.raises(IdentityUnavailable):
            invite(store, identity, A)
        user = invite(store, identity, A, role=Role.ANALYST)
        follow(store, identity, user)
        assert (counted(store), identity.users[A].role) == (1, Role.ANALYST)

    def test_is_finished_by_the_sweep_after_a_while(self, store: Store, how: str) -> None:
        identity = Breaking(breaks=[how])
        with pytest.raises(IdentityUnavailable):
            invite(store, identity, A)
        assert users.finish_invitations(store, identity, now=NOW) == 0
        assert users.finish_invitations(store, identity, now=OVERDUE) == 1
        assert users.finish_invitations(store, identity, now=OVERDUE) == 0
        assert (counted(store), len(users.list_users(store, "acme")), set(identity.users)) == (1, 1, {A})


def test_the_sweep_takes_back_what_cannot_be_finished(store: Store) -> None:
    identity = Breaking(breaks=["before"])
    with pytest.raises(IdentityUnavailable):
        invite(store, identity, A)
    identity.users[A] = NewUser(A, Role.DEVELOPER, "other")
    assert users.finish_invitations(store, identity, now=OVERDUE) == 0
    assert counted(store) == 0


class TestAtOnce:
    """On a database that cancels what overlaps, as AWS does."""

    def contended(self, store: Store, database: MemoryTables, *, limit: int) -> tuple[Store, ConflictingDynamoDB]:
        tenants.change_tenant(store, "acme", TenantChange(limits={"max_users": limit}), now=NOW)
        client = ConflictingDynamoDB(OneAtATime(database), hold_s=0.02)
        return Store(client, table=os.environ[SLICE.table.variable], owned=SLICE), client

    def test_as_many_are_invited_as_the_plan_allows(
        self, store: Store, database: MemoryTables, identity: FakeIdentity
    ) -> None:
        contended, client = self.contended(store, database, limit=7)

        def invited(number: int) -> bool:
            try:
                invite(contended, identity, f"u{number}@acme.com")
            except UserLimitReached:
                return False
            return True

        with ThreadPoolExecutor(12) as pool:
            made = list(pool.map(invited, range(12)))
        assert (sum(made), counted(store), len(identity.users)) == (7, 7, 7)
        assert client.cancelled > 0

    def test_one_admin_is_left_when_all_go(self, store: Store, database: MemoryTables, identity: FakeIdentity) -> None:
        contended, client = self.contended(store, database, limit=-1)
        admins = [invite(store, identity, f"u{number}@acme.com", role=Role.TENANT_ADMIN) for number in range(8)]

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
    def test_is_said_and_followed_by_the_pool(self, store: Store, identity: FakeIdentity) -> None:
        user = invite(store, identity, A)
        change = UserChange(role=Role.TENANT_ADMIN, features=("agents",), sets_features=True)
        after = users.change_user(store, "acme", user.user_id, change, now=LATER)
        assert (after.role, after.seq) == (Role.TENANT_ADMIN, 2)
        [changed] = [event for event in said(store) if event["type"] == "user.role_changed.v1"]
        assert changed["data"] == {"user_id": user.user_id, "role": "tenant_admin"}
        follow(store, identity, user)
        assert (identity.users[A].role, identity.users[A].features) == (Role.TENANT_ADMIN, ("agents",))

    def test_to_what_it_is_changes_nothing(self, store: Store, identity: FakeIdentity) -> None:
        user = invite(store, identity, A)
        assert users.change_user(store, "acme", user.user_id, UserChange(role=user.role), now=LATER) == user

    def test_the_last_admin_stays_one(self, store: Store, identity: FakeIdentity) -> None:
        user = invite(store, identity, A, role=Role.TENANT_ADMIN)
        demotion = UserChange(role=Role.DEVELOPER)
        with pytest.raises(LastTenantAdmin):
            users.change_user(store, "acme", user.user_id, demotion, now=LATER)
        invite(store, identity, B, role=Role.TENANT_ADMIN)
        users.change_user(store, "acme", user.user_id, demotion, now=LATER)

    def test_of_two_at_once_one_is_refused(self, store: Store, identity: FakeIdentity) -> None:
        user = invite(store, identity, A)

        def to(role: Role, in_store: Store = store) -> User:
            return users.change_user(in_store, "acme", user.user_id, UserChange(role=role), now=LATER)

        with pytest.raises(PreconditionFailed):
            to(Role.ANALYST, interleaved(store, lambda: to(Role.OBSERVER)))

    def test_the_pool_has_the_newest_in_whatever_order_it_is_told(self, store: Store, identity: FakeIdentity) -> None:
        user = invite(store, identity, A)

        @dataclass
        class Slow(FakeIdentity):
            """The row changes, and its own word comes first, while this one's is under way."""

            late: bool = True

            def update(self, username: str, user: NewUser) -> None:
                if self.late:
                    self.late = False
                    users.change_user(store, "acme", f"sub-of-{A}", UserChange(role=Role.OBSERVER), now=LATER)
                    users.follow_user(store, self, "acme", f"sub-of-{A}")
                super().update(username, user)

        slow = Slow(users=identity.users)
        follow(store, slow, user)
        assert slow.users[A].role is Role.OBSERVER

    def test_a_new_plan_is_in_everybodys_tokens(self, store: Store, identity: FakeIdentity) -> None:
        for email in (A, B):
            invite(store, identity, email)
        tenants.change_tenant(store, "acme", TenantChange(plan=Plan.PRO), now=LATER)
        users.follow_plan(store, identity, "acme")
        assert {user.plan for user in identity.users.values()} == {Plan.PRO}


class TestRemoveUser:
    def test_the_place_is_given_back_when_the_pool_has_let_go(self, store: Store, identity: FakeIdentity) -> None:
        user = invite(store, identity, A)
        users.remove_user(store, "acme", user.user_id, now=LATER)
        assert (counted(store), A in identity.users) == (1, True)
        follow(store, identity, user)
        assert (counted(store), A in identity.users) == (0, False)
        follow(store, identity, user)
        assert (counted(store), users.list_users(store, "acme")) == (0, [])

    def test_one_who_goes_is_not_shown_and_not_found(self, store: Store, identity: FakeIdentity) -> None:
        user = invite(store, identity, A)
        users.remove_user(store, "acme", user.user_id, now=LATER)
        assert page_of_users(store, "acme", limit=10, after=None) == ([], None)
        with pytest.raises(UserNotFound):
            users.remove_user(store, "acme", user.user_id, now=LATER)

    def test_the_last_admin_stays(self, store: Store, identity: FakeIdentity) -> None:
        user = invite(store, identity, A, role=Role.TENANT_ADMIN)
        with pytest.raises(LastTenantAdmin):
            users.remove_user(store, "acme", user.user_id, now=LATER)
        with pytest.raises(LastTenantAdmin):
            users.disable_user(store, "acme", user.user_id, now=LATER)

    def test_of_two_admins_who_go_at_once_one_stays(self, store: Store, identity: FakeIdentity) -> None:
        one, other = (invite(store, identity, email, role=Role.TENANT_ADMIN) for email in (A, B))
        meanwhile = interleaved(store, lambda: users.remove_user(store, "acme", other.user_id, now=LATER))
        with pytest.raises(LastTenantAdmin):
            users.remove_user(meanwhile, "acme", one.user_id, now=LATER)

    def test_an_address_can_be_invited_again(self, store: Store, identity: FakeIdentity) -> None:
        user = invite(store, identity, A)
        users.remove_user(store, "acme", user.user_id, now=LATER)
        with pytest.raises(UserExists):
            invite(store, identity, A)
        follow(store, identity, user)
        invite(store, identity, A)
        assert counted(store) == 1


class TestDisableUser:
    def test_keeps_the_place_and_shuts_the_pool(self, store: Store, identity: FakeIdentity) -> None:
        user = invite(store, identity, A)
        users.disable_user(store, "acme", user.user_id, now=LATER)
        follow(store, identity, user)
        assert (counted(store), identity.disabled) == (1, {A})

    def test_by_address_also_those_of_no_tenant(self, store: Store, identity: FakeIdentity) -> None:
        admin = Invitation("root@platform.com", Role.PLATFORM_ADMIN, None, NOW)
        assert users.create_user(store, identity, None, admin, temporary_password=None)
        users.disable_by_address(store, identity, "Root@Platform.com", now=LATER)
        assert identity.disabled == {"root@platform.com"}
        with pytest.raises(UserNotFound):
            users.disable_by_address(store, identity, "nobody@acme.com", now=LATER)


class TestPages:
    def test_go_on_newest_first(self, store: Store, identity: FakeIdentity) -> None:
        for email in (A, B):
            invite(store, identity, email)
        first, after = page_of_users(store, "acme", limit=1, after=None)
        second, end = page_of_users(store, "acme", limit=1, after=after)
        assert [user.email for user in (*first, *second)] == [B, A]
        assert end is None or page_of_users(store, "acme", limit=1, after=end) == ([], None)
