"""The rollout of a plan to all users of a tenant, at any number and after any interruption."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from services.tenants.errors import UserPoolUnavailable
from services.tenants.tenants import operations as tenants
from services.tenants.tenants.domain.tenant import TenantChange
from services.tenants.users.domain import Invitation, User
from services.tenants.users.gateway.fake import FakeUserPool
from services.tenants.users.gateway.user_pool import PoolUserAttributes, PoolUserIds
from services.tenants.users.operations import invitations
from services.tenants.users.operations.rollouts import PAGE_SIZE, roll_out_plan, sweep_rollouts
from shared.deadline import MARGIN_S, invocation
from shared.plans import Plan
from shared.storage.quarantine import MAX_FAILURES, list_quarantined
from shared.storage.store import Store
from shared.sweep import Swept
from shared.tenancy.permissions import Role
from tests.services.tenants.acme import LATER, NOW, delete_acme

USERS = 2 * PAGE_SIZE + 3
MORE = timedelta(hours=1)


@dataclass
class RecordingUserPool(FakeUserPool):
    """A pool that records updates, refuses some users, or becomes unavailable."""

    updated: list[str] = field(default_factory=list[str])
    poison: set[str] = field(default_factory=set[str])
    answers: int | None = None
    """The number of updates until it becomes unavailable. None means always available."""

    def update(self, username: str, user: PoolUserAttributes) -> None:
        if self.answers is not None:
            self.answers -= 1
            if self.answers < 0:
                raise UserPoolUnavailable
        if username in self.poison:
            raise ValueError(username)
        self.updated.append(username)
        super().update(username, user)


@pytest.fixture(name="pool")
def make_pool(store: Store) -> RecordingUserPool:
    """Return a pool with more than two pages of users of `acme`, whose plan has just changed."""
    pool = RecordingUserPool()
    tenants.change_tenant(store, "acme", TenantChange(limits={"max_users": -1}), now=NOW)
    for number in range(USERS):
        invite(store, pool, number)
    tenants.change_tenant(store, "acme", TenantChange(plan=Plan.PRO), now=LATER)
    return pool


def invite(store: Store, pool: RecordingUserPool, number: int) -> User:
    invitation = Invitation(f"u{number:03d}@acme.com", Role.DEVELOPER, None, NOW)
    return invitations.invite_user(store, pool, "acme", invitation, now=NOW)


def on_plan(pool: RecordingUserPool, plan: Plan = Plan.PRO) -> int:
    return sum(user.plan == plan for user in pool.users.values())


def begin(store: Store, pool: RecordingUserPool, rollout_id: str = "1") -> None:
    roll_out_plan(store, pool, "acme", rollout_id, now=LATER)


class ExpiredContext:
    """The context of an invocation that has no time left."""

    def get_remaining_time_in_millis(self) -> int:
        return int(MARGIN_S * 1000)


class TestRollOutPlan:
    def test_updates_a_page_at_once_and_the_others_in_the_sweep(self, store: Store, pool: RecordingUserPool) -> None:
        begin(store, pool)
        assert on_plan(pool) == PAGE_SIZE
        sweep_rollouts(store, pool, now=LATER)
        assert (on_plan(pool), len(pool.updated)) == (USERS, USERS)
        assert sweep_rollouts(store, pool, now=LATER) == Swept()

    def test_stops_at_the_deadline_and_resumes_after_the_last_user(self, store: Store, pool: RecordingUserPool) -> None:
        begin(store, pool)
        with invocation(ExpiredContext()):
            assert sweep_rollouts(store, pool, now=LATER).left == 1
        assert on_plan(pool) == PAGE_SIZE
        sweep_rollouts(store, pool, now=LATER)
        assert (on_plan(pool), len(pool.updated)) == (USERS, USERS)

    def test_later_plan_restarts_the_rollout(self, store: Store, pool: RecordingUserPool) -> None:
        begin(store, pool)
        tenants.change_tenant(store, "acme", TenantChange(plan=Plan.ENTERPRISE), now=LATER)
        begin(store, pool, "2")
        sweep_rollouts(store, pool, now=LATER)
        assert on_plan(pool, Plan.ENTERPRISE) == USERS

    def test_outage_delays_without_repeating_users(self, store: Store, pool: RecordingUserPool) -> None:
        pool.answers = 10
        begin(store, pool)
        for hours in range(2 * MAX_FAILURES):
            swept = sweep_rollouts(store, pool, now=LATER + hours * MORE)
            assert (swept.failed, swept.quarantined) == (1, 0)
        pool.answers = None
        sweep_rollouts(store, pool, now=LATER + 2 * MAX_FAILURES * MORE)
        assert (on_plan(pool), len(pool.updated)) == (USERS, USERS)

    def test_failing_user_does_not_stop_the_rollout(self, store: Store, pool: RecordingUserPool) -> None:
        pool.poison = {"u001@acme.com"}
        begin(store, pool)
        for tries in range(MAX_FAILURES):
            sweep_rollouts(store, pool, now=LATER + tries * MORE)
        assert on_plan(pool) == USERS - 1
        [failure] = list_quarantined(store)
        assert failure.entry.key.sk == "PLAN#USER#sub-of-u001@acme.com"

    def test_ignores_a_deleted_tenant(self, store: Store, pool: RecordingUserPool) -> None:
        begin(store, pool)
        delete_acme(store)
        begin(store, pool, "2")
        swept = sweep_rollouts(store, pool, now=LATER)
        assert (swept.failed, on_plan(pool)) == (0, PAGE_SIZE)


class TestInvitations:
    def test_failing_invitation_does_not_affect_the_others(self, store: Store) -> None:
        @dataclass
        class FailingUserPool(FakeUserPool):
            is_down: bool = True

            def ensure(self, user: PoolUserAttributes, *, temporary_password: str | None) -> PoolUserIds:
                if self.is_down:
                    raise UserPoolUnavailable
                if user.email == "u000@acme.com":
                    raise ValueError(user.email)
                return super().ensure(user, temporary_password=temporary_password)

        pool = FailingUserPool()
        for number in range(2):
            with pytest.raises(UserPoolUnavailable):
                invitations.invite_user(
                    store, pool, "acme", Invitation(f"u{number:03d}@acme.com", Role.ANALYST, None, NOW), now=NOW
                )
        pool.is_down = False
        due = NOW + MORE
        swept = invitations.finish_invitations(store, pool, now=due)
        assert (swept.failed, len(swept.results)) == (1, 1)
        for tries in range(1, MAX_FAILURES):
            swept = invitations.finish_invitations(store, pool, now=due + tries * MORE)
        last = invitations.finish_invitations(store, pool, now=due + 2 * MAX_FAILURES * MORE)
        assert (swept.quarantined, last.failed) == (1, 0)
