"""A user's address: the row changes first, then the pool, and no address ever has two users."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest

from services.tenants.errors import (
    AddressChanging,
    UserExists,
    UserNotActive,
    UserOfAnotherTenant,
    UserPoolUnavailable,
)
from services.tenants.partitions import SLICE
from services.tenants.users.domain import Invitation, User, UserChange
from services.tenants.users.gateway.fake import FakeUserPool
from services.tenants.users.gateway.user_pool import PoolUserAttributes
from services.tenants.users.operations import invitations, pool_sync, users
from services.tenants.users.operations.rollouts import sweep_rollouts
from services.tenants.users.table.invitations import RETRY_WINDOW
from services.tenants.users.table.users import UserTable
from shared.errors import PreconditionFailed
from shared.storage.store import Store
from shared.storage.transaction import Expression
from shared.tenancy.permissions import Role
from tests.services.tenants.acme import LATER, NOW, outbox_events
from tests.services.tenants.interleaved import interleaved

OLD, NEW, OTHER = "old@acme.com", "new@acme.com", "other@acme.com"


@dataclass
class FailingOnUpdate(FakeUserPool):
    """A pool that fails before or after it updates a user, once."""

    breaks: list[str] = field(default_factory=list[str])

    def update(self, username: str, user: PoolUserAttributes) -> None:
        how = self.breaks.pop(0) if self.breaks else ""
        if how == "before":
            raise UserPoolUnavailable
        super().update(username, user)
        if how == "after":
            raise UserPoolUnavailable


@pytest.fixture(name="user_pool")
def make_user_pool() -> FailingOnUpdate:
    return FailingOnUpdate()


@pytest.fixture(name="user")
def make_user(store: Store, user_pool: FailingOnUpdate) -> User:
    return invite(store, user_pool, OLD)


def invite(store: Store, user_pool: FakeUserPool, email: str) -> User:
    return invitations.invite_user(store, user_pool, "acme", Invitation(email, Role.DEVELOPER, None, NOW), now=NOW)


def change_address(store: Store, user_pool: FakeUserPool, user: User, email: str = NEW, **change: Any) -> User:  # noqa: ANN401 — fields of the change
    wanted = UserChange(email=email, **change)
    return users.change_user(store, user_pool, "acme", user.user_id, wanted, now=LATER)


def change(store: Store, user_pool: FakeUserPool, user: User, email: str, *, now: datetime) -> User:
    return users.change_user(store, user_pool, "acme", user.user_id, UserChange(email=email), now=now)


def sync(store: Store, user_pool: FakeUserPool, user: User) -> None:
    pool_sync.sync_user(store, user_pool, "acme", user.user_id)


def reserved_addresses(store: Store) -> list[str]:
    """Return the addresses that are reserved until the pool is updated."""
    own = Expression("#PK = :pk AND begins_with(#SK, :prefix)", {"pk": SLICE.key("acme"), "prefix": "ADDRESS#"})
    return [str(item["SK"]).removeprefix("ADDRESS#") for item in store.query_all(own)]


class TestChangeAddress:
    def test_updates_the_row_then_the_pool(self, store: Store, user_pool: FailingOnUpdate, user: User) -> None:
        after = change_address(store, user_pool, user)
        assert (after.email, after.seq, reserved_addresses(store), set(user_pool.users)) == (NEW, 2, [NEW], {OLD})
        sync(store, user_pool, user)
        pooled = user_pool.find(NEW)
        assert pooled
        assert (pooled.user_id, reserved_addresses(store), set(user_pool.users)) == (user.user_id, [], {NEW})
        assert UserTable(store, "acme").get(user.user_id) == replace(after, email_before=None)

    def test_is_published_without_the_address(self, store: Store, user_pool: FailingOnUpdate, user: User) -> None:
        change_address(store, user_pool, user)
        [changed] = [event for event in outbox_events(store) if event["type"] == "user.email_changed.v1"]
        assert (changed["data"], changed["seq"]) == ({"user_id": user.user_id}, 2)

    def test_changes_role_and_address_together(self, store: Store, user_pool: FailingOnUpdate, user: User) -> None:
        after = change_address(store, user_pool, user, role=Role.ANALYST)
        assert (after.role, after.email, after.seq) == (Role.ANALYST, NEW, 3)
        events = {event["type"]: event["seq"] for event in outbox_events(store) if event["subject"] == user.user_id}
        assert events == {"user.invited.v1": 1, "user.role_changed.v1": 2, "user.email_changed.v1": 3}
        sync(store, user_pool, user)
        assert user_pool.users[NEW].role is Role.ANALYST

    def test_changes_nothing_if_the_address_is_the_same(
        self, store: Store, user_pool: FailingOnUpdate, user: User
    ) -> None:
        after = change_address(store, user_pool, user)
        assert change_address(store, user_pool, user) == after

    def test_refuses_an_address_of_another_tenant(self, store: Store, user_pool: FailingOnUpdate, user: User) -> None:
        user_pool.ensure(PoolUserAttributes(NEW, Role.ANALYST, "other"), temporary_password=None)
        with pytest.raises(UserOfAnotherTenant):
            change_address(store, user_pool, user)
        assert UserTable(store, "acme").get(user.user_id) == user

    def test_refuses_an_address_of_another_user(self, store: Store, user_pool: FailingOnUpdate, user: User) -> None:
        invite(store, user_pool, NEW)
        with pytest.raises(UserExists):
            change_address(store, user_pool, user)

    def test_refuses_an_address_that_is_being_invited(
        self, store: Store, user_pool: FailingOnUpdate, user: User
    ) -> None:
        @dataclass
        class UnavailableUserPool(FakeUserPool):
            def ensure(self, user: PoolUserAttributes, *, temporary_password: str | None) -> Any:  # noqa: ANN401, ARG002 — never returns
                raise UserPoolUnavailable

        with pytest.raises(UserPoolUnavailable):
            invite(store, UnavailableUserPool(), NEW)
        with pytest.raises(UserExists):
            change_address(store, user_pool, user)

    def test_reserves_both_addresses_until_the_pool_is_updated(
        self, store: Store, user_pool: FailingOnUpdate, user: User
    ) -> None:
        change_address(store, user_pool, user)
        for email in (OLD, NEW):
            with pytest.raises(UserExists):
                invite(store, user_pool, email)
        sync(store, user_pool, user)
        with pytest.raises(UserExists):
            invite(store, user_pool, NEW)
        assert invite(store, user_pool, OLD).user_id != user.user_id

    def test_one_of_two_users_gets_the_address(self, store: Store, user_pool: FailingOnUpdate, user: User) -> None:
        other = invite(store, user_pool, OTHER)
        with pytest.raises(UserExists):
            change_address(interleaved(store, lambda: change_address(store, user_pool, other)), user_pool, user)

    def test_refuses_a_change_while_the_previous_one_is_pending(
        self, store: Store, user_pool: FailingOnUpdate, user: User
    ) -> None:
        change_address(store, user_pool, user)
        with pytest.raises(AddressChanging):
            change_address(store, user_pool, user, OTHER)
        sync(store, user_pool, user)
        change_address(store, user_pool, user, OTHER)

    def test_requires_an_active_user(self, store: Store, user_pool: FailingOnUpdate, user: User) -> None:
        users.disable_user(store, "acme", user.user_id, now=LATER)
        with pytest.raises(UserNotActive):
            change_address(store, user_pool, user)


class TestSyncAddress:
    @pytest.mark.parametrize("how", ["before", "after"])
    def test_resumes_after_an_outage(self, store: Store, user_pool: FailingOnUpdate, user: User, how: str) -> None:
        change_address(store, user_pool, user)
        user_pool.breaks.append(how)
        with pytest.raises(UserPoolUnavailable):
            sync(store, user_pool, user)
        assert reserved_addresses(store) == [NEW]
        sync(store, user_pool, user)
        assert (reserved_addresses(store), set(user_pool.users)) == ([], {NEW})

    def test_sweep_finishes_if_the_event_is_lost(self, store: Store, user_pool: FailingOnUpdate, user: User) -> None:
        change_address(store, user_pool, user)
        assert sweep_rollouts(store, user_pool, now=LATER).handled == 0
        assert sweep_rollouts(store, user_pool, now=LATER + RETRY_WINDOW).handled == 1
        assert (reserved_addresses(store), set(user_pool.users)) == ([], {NEW})
        change_address(store, user_pool, user, OTHER)
        assert sweep_rollouts(store, user_pool, now=LATER + RETRY_WINDOW).handled == 1

    def test_stays_due_when_the_address_changes_during_the_sweep(
        self, store: Store, user_pool: FailingOnUpdate, user: User
    ) -> None:
        change_address(store, user_pool, user)
        sync(store, user_pool, user)
        meanwhile = interleaved(store, lambda: change(store, user_pool, user, OTHER, now=LATER + RETRY_WINDOW))
        assert sweep_rollouts(meanwhile, user_pool, now=LATER + RETRY_WINDOW).handled == 1
        assert sweep_rollouts(store, user_pool, now=LATER + 2 * RETRY_WINDOW).handled == 1
        assert set(user_pool.users) == {OTHER}

    def test_restores_the_address_if_another_tenant_took_the_new_one(
        self, store: Store, user_pool: FailingOnUpdate, user: User
    ) -> None:
        change_address(store, user_pool, user, role=Role.ANALYST)
        user_pool.ensure(PoolUserAttributes(NEW, Role.ANALYST, "other"), temporary_password=None)
        sync(store, user_pool, user)
        current = UserTable(store, "acme").get(user.user_id)
        assert (current.email, current.email_before, current.role, current.seq) == (OLD, None, Role.ANALYST, 4)
        assert (reserved_addresses(store), user_pool.users[OLD].role) == ([], Role.ANALYST)
        assert [event["seq"] for event in outbox_events(store) if event["type"] == "user.email_changed.v1"] == [3, 4]
        assert user_pool.users[NEW].tenant_id == "other"

    def test_records_a_refused_address_in_the_audit_log_once(
        self, store: Store, user_pool: FailingOnUpdate, user: User
    ) -> None:
        change_address(store, user_pool, user)
        user_pool.ensure(PoolUserAttributes(NEW, Role.ANALYST, "other"), temporary_password=None)
        for _ in range(2):
            sweep_rollouts(store, user_pool, now=LATER + RETRY_WINDOW)
        [record] = [event["data"] for event in outbox_events(store) if event["type"] == "change.recorded.v1"]
        assert (record["principal"], record["action"]) == ("service:tenants", "user.email_changed.v1")
        assert record["facts"] == [{"type": "user.email_changed.v1", "subject": user.user_id, "seq": 3}]

    def test_is_not_undone_by_a_change_that_read_the_row_before(
        self, store: Store, user_pool: FailingOnUpdate, user: User
    ) -> None:
        change_address(store, user_pool, user)
        late = interleaved(store, lambda: sync(store, user_pool, user))
        with pytest.raises(PreconditionFailed):
            users.disable_user(late, "acme", user.user_id, now=LATER)
        assert UserTable(store, "acme").get(user.user_id).email_before is None
        users.disable_user(store, "acme", user.user_id, now=LATER)

    def test_does_not_confirm_a_later_change_to_the_same_address(
        self, store: Store, user_pool: FailingOnUpdate, user: User
    ) -> None:
        moved = change_address(store, user_pool, user)
        sync(store, user_pool, user)
        change_address(store, user_pool, user, OLD)
        sync(store, user_pool, user)
        again = change_address(store, user_pool, user)
        UserTable(store, "acme").confirm_address(moved)
        assert (UserTable(store, "acme").get(user.user_id), reserved_addresses(store)) == (again, [NEW])

    def test_uses_the_pools_address_if_another_user_has_the_stored_one(
        self, store: Store, user_pool: FailingOnUpdate, user: User
    ) -> None:
        user_pool.update(user.username, PoolUserAttributes(OTHER, Role.DEVELOPER, "acme"))
        user_pool.ensure(PoolUserAttributes(OLD, Role.ANALYST, "other"), temporary_password=None)
        sync(store, user_pool, user)
        current = UserTable(store, "acme").get(user.user_id)
        assert (current.email, current.email_before, current.seq) == (OTHER, None, 2)
        assert {email: pooled.tenant_id for email, pooled in user_pool.users.items()} == {OTHER: "acme", OLD: "other"}
        sync(store, user_pool, user)
        assert UserTable(store, "acme").get(user.user_id) == current

    def test_slow_update_does_not_restore_the_old_address(
        self, store: Store, user_pool: FailingOnUpdate, user: User
    ) -> None:
        change_address(store, user_pool, user)
        sync(store, user_pool, user)

        @dataclass
        class SlowUserPool(FailingOnUpdate):
            late: bool = True

            def update(self, username: str, user: PoolUserAttributes) -> None:
                if self.late:
                    self.late = False
                    current = UserTable(store, "acme").find(f"sub-of-{OLD}")
                    assert current
                    change_address(store, self, current, OTHER)
                    pool_sync.sync_user(store, self, "acme", current.user_id)
                super().update(username, user)

        sync(store, SlowUserPool(users=user_pool.users, names=user_pool.names), user)
        assert set(user_pool.users) == {OTHER}

    def test_frees_the_address_of_a_removed_user(self, store: Store, user_pool: FailingOnUpdate, user: User) -> None:
        change_address(store, user_pool, user)
        users.remove_user(store, "acme", user.user_id, now=LATER)
        sync(store, user_pool, user)
        assert (reserved_addresses(store), set(user_pool.users)) == ([], set())

    def test_updates_the_address_of_a_disabled_user(self, store: Store, user_pool: FailingOnUpdate, user: User) -> None:
        change_address(store, user_pool, user)
        users.disable_user(store, "acme", user.user_id, now=LATER)
        sync(store, user_pool, user)
        assert (reserved_addresses(store), user_pool.disabled) == ([], {NEW})
