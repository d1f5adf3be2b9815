"""The rules of tenants, projects and users."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tenants.domain import project as projects
from services.tenants.domain import tenant as domain
from services.tenants.domain import user as users
from services.tenants.domain.limits import limits_of, merge_limits, own_limits_in
from services.tenants.domain.tenant import CurrentUsage, Tenant, TenantChange
from services.tenants.domain.user import Invitation, User, UserChange, UserStatus
from services.tenants.errors import (
    OverageNeedsMeteredPlan,
    TenantBeingDeleted,
    TenantNotSuspended,
    UserNotActive,
)
from shared.plans import LIMITS, Plan
from shared.tenancy.permissions import Role
from tests.services.tenants.heard import subscription_changed

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def tenant(plan: Plan = Plan.PRO) -> Tenant:
    return domain.create_tenant("acme", name="Acme Ltd", plan=plan, own_limits={}, now=NOW)[0]


def types(change: domain.Change) -> list[str]:
    return [event.type.removeprefix("tenant.").removesuffix(".v1") for event in change[1]]


def heard(there: Tenant, *, seq: int = 1, plan: Plan = Plan.PRO, suspended: bool = False) -> domain.Change:
    said = subscription_changed("acme", seq=seq, plan=plan, suspended=suspended).data
    return domain.follow_subscription(there, said, seq=seq, now=LATER)


class TestCreateTenant:
    @pytest.mark.parametrize("plan", Plan)
    def test_has_the_limits_of_its_plan(self, plan: Plan) -> None:
        made = tenant(plan)
        assert made.limits == LIMITS[plan]
        assert (made.status, made.seq, made.usage) == ("active", 1, CurrentUsage())

    def test_may_have_its_own(self) -> None:
        made, [created] = domain.create_tenant(
            "acme", name="Acme", plan=Plan.FREE, own_limits={"max_projects": 1}, now=NOW
        )
        assert (made.limits.max_projects, made.limits.max_users) == (1, LIMITS[Plan.FREE].max_users)
        assert created.data.limits.max_projects == 1

    def test_says_its_full_state_and_not_its_name(self) -> None:
        _, [created] = domain.create_tenant("acme", name="Acme Ltd", plan=Plan.PRO, own_limits={}, now=NOW)
        assert (created.id, created.subject, created.seq) == ("acme:created", "acme", 1)
        assert created.data.model_dump(exclude={"limits"}) == {"plan": "pro", "status": "active", "overage": "block"}
        assert "Acme Ltd" not in created.model_dump_json()

    def test_access_is_what_decides_about_a_change(self) -> None:
        access = tenant(Plan.FREE).access
        assert (access.tenant_id, access.status, access.enabled_features) == ("acme", "active", ("agents",))


class TestChangeTenant:
    def test_a_change_is_a_new_version_with_all_of_its_state(self) -> None:
        after, [said] = domain.change_tenant(tenant(), TenantChange(limits={"max_users": 7}), now=LATER)
        assert (after.seq, after.updated_at, after.created_at) == (2, LATER, NOW)
        assert (said.id, said.type, said.seq) == ("acme:2:updated", "tenant.updated.v1", 2)
        assert (said.data.plan, said.data.limits.max_users) == ("pro", 7)

    def test_nothing_new_is_no_version_and_not_said(self) -> None:
        there = tenant()
        assert domain.change_tenant(there, TenantChange(name="Acme Ltd", plan=Plan.PRO), now=LATER) == (there, [])

    def test_own_limits_survive_a_change_of_plan_and_go_with_null(self) -> None:
        own, _ = domain.change_tenant(tenant(), TenantChange(limits={"max_users": 7, "max_projects": 1}), now=LATER)
        moved, [said] = domain.change_tenant(own, TenantChange(plan=Plan.FREE), now=LATER)
        assert said.type == "tenant.plan_changed.v1"
        assert (moved.limits.max_users, moved.limits.max_tokens_per_month) == (7, 100_000)
        freed, _ = domain.change_tenant(moved, TenantChange(limits={"max_users": None}), now=LATER)
        assert (freed.limits.max_users, freed.limits.max_projects) == (3, 1)

    def test_overage_is_for_plans_that_have_prices(self) -> None:
        with pytest.raises(OverageNeedsMeteredPlan):
            domain.change_tenant(tenant(Plan.FREE), TenantChange(overage="allow"), now=LATER)
        allowed, [said] = domain.change_tenant(tenant(), TenantChange(overage="allow"), now=LATER)
        assert (said.data.overage, allowed.access.allowance.overage) == ("allow", True)

    def test_overage_rests_on_a_plan_without_prices(self) -> None:
        allowed, _ = domain.change_tenant(tenant(), TenantChange(overage="allow"), now=LATER)
        free, [said] = domain.change_tenant(allowed, TenantChange(plan=Plan.FREE), now=LATER)
        assert (free.overage, said.data.overage) == ("block", "block")

    @given(st.dictionaries(st.sampled_from(["max_users", "max_projects"]), st.integers(-1, 5)), st.sampled_from(Plan))
    def test_own_limits_are_found_again_in_what_was_made_with_aws_tools(
        self, own: dict[str, int | tuple[str, ...]], plan: Plan
    ) -> None:
        limits = limits_of(plan, own)
        assert limits_of(plan, own_limits_in(plan, limits)) == limits

    def test_a_limit_that_is_not_named_stays(self) -> None:
        assert merge_limits({"max_users": 1, "max_projects": 2}, {"max_users": None}) == {"max_projects": 2}


class TestSuspension:
    def test_an_operators_word_and_billings_are_two(self) -> None:
        abused = domain.suspend_tenant(tenant(), reason="Spam", abuse=True, now=LATER)
        assert (types(abused), abused[0].status) == (["suspended"], "suspended")
        unpaid = heard(abused[0], suspended=True)
        assert (types(unpaid), unpaid[0].status) == (["updated"], "suspended")
        paid = heard(unpaid[0], seq=2)
        assert paid[0].status == "suspended"

    def test_an_operator_does_not_lift_billings(self) -> None:
        both, _ = domain.suspend_tenant(heard(tenant(), suspended=True)[0], reason="Spam", abuse=True, now=LATER)
        lifted = domain.reactivate_tenant(both, now=LATER)
        assert (types(lifted), lifted[0].status) == (["suspended"], "suspended_by_billing")
        with pytest.raises(TenantNotSuspended):
            domain.reactivate_tenant(lifted[0], now=LATER)

    def test_is_over_when_the_last_word_is_taken_back(self) -> None:
        suspended, _ = domain.suspend_tenant(tenant(), reason="Spam", abuse=False, now=LATER)
        active = domain.reactivate_tenant(suspended, now=LATER)
        assert (types(active), active[0].status) == (["reactivated"], "active")
        unpaid = heard(tenant(), suspended=True)
        assert (types(unpaid), types(heard(unpaid[0], seq=2))) == (["suspended"], ["reactivated"])


class TestFollowSubscription:
    def test_a_new_plan_and_a_suspension_are_both_said_with_the_same_state(self) -> None:
        after, events = heard(tenant(), plan=Plan.FREE, suspended=True)
        assert [event.type for event in events] == ["tenant.suspended.v1", "tenant.plan_changed.v1"]
        assert {event.seq for event in events} == {2}
        assert events[0].data.model_dump() == events[1].data.model_dump()
        assert (after.plan, after.status) == (Plan.FREE, "suspended_by_billing")

    def test_what_is_older_changes_nothing(self) -> None:
        there, _ = heard(tenant(), seq=2, plan=Plan.ENTERPRISE)
        assert heard(there, seq=1, plan=Plan.FREE) == (there, [])
        assert heard(there, seq=2, plan=Plan.FREE) == (there, [])

    def test_what_comes_late_does_not_bring_a_tenant_back(self) -> None:
        going, _ = domain.request_deletion(tenant(), by="user:1", now=LATER)
        assert heard(going, plan=Plan.FREE) == (going, [])


class TestDeletion:
    def test_is_said_with_all_of_its_state_and_then_nothing_changes_any_more(self) -> None:
        going, [said] = domain.request_deletion(tenant(), by="user:1", now=LATER)
        assert (said.id, said.data.status) == ("acme:2:deletion_requested", "deleting")
        with pytest.raises(TenantBeingDeleted):
            domain.change_tenant(going, TenantChange(name="x"), now=LATER)
        with pytest.raises(TenantBeingDeleted):
            domain.suspend_tenant(going, reason="x", abuse=False, now=LATER)
        with pytest.raises(TenantBeingDeleted):
            domain.request_deletion(going, by="user:1", now=LATER)


class TestCurrentUsage:
    def test_of_an_earlier_month_is_over(self) -> None:
        usage = CurrentUsage(users=2, storage_gb=3, monthly_requests=4, monthly_tokens=5, month="2026-10")
        assert usage.in_month("2026-10") == usage
        assert usage.in_month("2026-11") == CurrentUsage(users=2, storage_gb=3, month="2026-11")


class TestProject:
    def test_its_life_is_said_once_each(self) -> None:
        project, created = projects.create_project("acme", project_id="prj_1", name="One", description=None, now=NOW)
        changed = projects.change_project(project, name="Two", description="It", now=LATER)
        deleted = projects.delete_project("acme", changed, now=LATER)
        assert [(event.id, event.subject, event.seq) for event in (created, deleted)] == [
            ("prj_1:created", "prj_1", 1),
            ("prj_1:deleted", "prj_1", 3),
        ]

    def test_a_change_is_a_new_version(self) -> None:
        project, _ = projects.create_project("acme", project_id="prj_1", name="One", description=None, now=NOW)
        changed = projects.change_project(project, name="Two", description="It", now=LATER)
        assert (changed.name, changed.description, changed.seq) == ("Two", "It", 2)
        assert (changed.created_at, changed.updated_at) == (NOW, LATER)
        assert project.seq == 1


class TestUser:
    def invited(self) -> User:
        asked = Invitation("a@b.com", Role.TENANT_ADMIN, None, NOW)
        return users.invite_user("acme", asked, user_id="8f1c", username="8f1c", now=NOW)[0]

    def test_what_is_said_tells_nothing_of_who_it_is(self) -> None:
        asked = Invitation("a@b.com", Role.DEVELOPER, None, NOW)
        user, invited = users.invite_user("acme", asked, user_id="8f1c", username="8f1c", now=NOW)
        changed, said = users.change_user("acme", user, UserChange(role=Role.ANALYST), now=LATER)
        _, removed = users.remove_user("acme", changed, now=LATER)
        assert [event.id for event in (invited, said, removed)] == [
            "8f1c:invited",
            "8f1c:2:role_changed",
            "8f1c:3:removed",
        ]
        assert not any("a@b.com" in event.model_dump_json() for event in (invited, said, removed))

    def test_features_are_changed_only_when_they_are_meant(self) -> None:
        user, _ = users.change_user(
            "acme", self.invited(), UserChange(features=("agents",), sets_features=True), now=NOW
        )
        assert users.change_user("acme", user, UserChange(role=Role.ANALYST), now=NOW)[0].features == ("agents",)
        assert users.change_user("acme", user, UserChange(sets_features=True), now=NOW)[0].features is None

    def test_one_who_cannot_sign_in_administers_nothing_and_has_no_role_to_change(self) -> None:
        disabled, _ = users.disable_user("acme", self.invited(), now=LATER)
        assert (disabled.status, disabled.is_active_admin) == (UserStatus.DISABLED, False)
        with pytest.raises(UserNotActive):
            users.change_user("acme", disabled, UserChange(role=Role.ANALYST), now=LATER)
        with pytest.raises(UserNotActive):
            users.disable_user("acme", disabled, now=LATER)
        assert users.remove_user("acme", disabled, now=LATER)[0].status is UserStatus.REMOVING
