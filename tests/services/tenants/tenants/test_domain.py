"""The rules of tenants."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tenants.errors import (
    OverageNeedsMeteredPlan,
    TenantBeingDeleted,
    TenantNotSuspended,
)
from services.tenants.tenants.domain import tenant as domain
from services.tenants.tenants.domain.limits import derive_own_limits, limits_of, merge_limits
from services.tenants.tenants.domain.tenant import CurrentUsage, Tenant, TenantChange
from shared.plans import LIMITS, Plan
from tests.services.tenants.received import subscription_changed

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def tenant(plan: Plan = Plan.PRO) -> Tenant:
    return domain.create_tenant("acme", name="Acme Ltd", plan=plan, own_limits={}, now=NOW)[0]


def types(change: domain.TenantRevision) -> list[str]:
    return [event.type.removeprefix("tenant.").removesuffix(".v1") for event in change[1]]


def received(before: Tenant, *, seq: int = 1, plan: Plan = Plan.PRO, suspended: bool = False) -> domain.TenantRevision:
    payload = subscription_changed("acme", seq=seq, plan=plan, suspended=suspended).data
    return domain.apply_subscription(before, payload, seq=seq, now=LATER)


class TestCreateTenant:
    @pytest.mark.parametrize("plan", Plan)
    def test_has_the_limits_of_its_plan(self, plan: Plan) -> None:
        made = tenant(plan)
        assert made.limits == LIMITS[plan]
        assert (made.status, made.seq, made.usage) == ("active", 1, CurrentUsage())

    def test_accepts_own_limits(self) -> None:
        made, [created] = domain.create_tenant(
            "acme", name="Acme", plan=Plan.FREE, own_limits={"max_projects": 1}, now=NOW
        )
        assert (made.limits.max_projects, made.limits.max_users) == (1, LIMITS[Plan.FREE].max_users)
        assert created.data.limits.max_projects == 1

    def test_publishes_the_full_state_without_the_name(self) -> None:
        _, [created] = domain.create_tenant("acme", name="Acme Ltd", plan=Plan.PRO, own_limits={}, now=NOW)
        assert (created.id, created.subject, created.seq) == ("acme:created", "acme", 1)
        assert created.data.model_dump(exclude={"limits"}) == {
            "plan": "pro",
            "status": "active",
            "overage": "block",
            "lint_gate": "warn",
        }
        assert "Acme Ltd" not in created.model_dump_json()

    def test_access_contains_the_facts_for_a_change(self) -> None:
        access = tenant(Plan.FREE).access
        assert (access.tenant_id, access.status, access.enabled_features) == ("acme", "active", ("agents",))


class TestChangeTenant:
    def test_change_increments_seq_and_publishes_the_full_state(self) -> None:
        after, [payload] = domain.change_tenant(tenant(), TenantChange(limits={"max_users": 7}), now=LATER)
        assert (after.seq, after.updated_at, after.created_at) == (2, LATER, NOW)
        assert (payload.id, payload.type, payload.seq) == ("acme:2:updated", "tenant.updated.v1", 2)
        assert (payload.data.plan, payload.data.limits.max_users) == ("pro", 7)

    def test_unchanged_tenant_gets_no_version_and_no_event(self) -> None:
        there = tenant()
        assert domain.change_tenant(there, TenantChange(name="Acme Ltd", plan=Plan.PRO), now=LATER) == (there, [])

    def test_own_limits_survive_a_change_of_plan_and_null_removes_them(self) -> None:
        own, _ = domain.change_tenant(tenant(), TenantChange(limits={"max_users": 7, "max_projects": 1}), now=LATER)
        moved, [payload] = domain.change_tenant(own, TenantChange(plan=Plan.FREE), now=LATER)
        assert payload.type == "tenant.plan_changed.v1"
        assert (moved.limits.max_users, moved.limits.max_tokens_per_month) == (7, 100_000)
        freed, _ = domain.change_tenant(moved, TenantChange(limits={"max_users": None}), now=LATER)
        assert (freed.limits.max_users, freed.limits.max_projects) == (3, 1)

    def test_refuses_overage_on_a_plan_without_prices(self) -> None:
        with pytest.raises(OverageNeedsMeteredPlan):
            domain.change_tenant(tenant(Plan.FREE), TenantChange(overage="allow"), now=LATER)
        allowed, [payload] = domain.change_tenant(tenant(), TenantChange(overage="allow"), now=LATER)
        assert (payload.data.overage, allowed.access.allowance.overage) == ("allow", True)

    def test_ignores_overage_on_a_plan_without_prices(self) -> None:
        allowed, _ = domain.change_tenant(tenant(), TenantChange(overage="allow"), now=LATER)
        free, [payload] = domain.change_tenant(allowed, TenantChange(plan=Plan.FREE), now=LATER)
        assert (free.overage, payload.data.overage) == ("block", "block")

    @given(st.dictionaries(st.sampled_from(["max_users", "max_projects"]), st.integers(-1, 5)), st.sampled_from(Plan))
    def test_derives_own_limits_of_tenants_created_with_aws_tools(
        self, own: dict[str, int | tuple[str, ...]], plan: Plan
    ) -> None:
        limits = limits_of(plan, own)
        assert limits_of(plan, derive_own_limits(plan, limits)) == limits

    def test_keeps_limits_that_are_not_given(self) -> None:
        assert merge_limits({"max_users": 1, "max_projects": 2}, {"max_users": None}) == {"max_projects": 2}


class TestSuspension:
    def test_operators_and_billings_suspensions_are_independent(self) -> None:
        abused = domain.suspend_tenant(tenant(), reason="Spam", abuse=True, now=LATER)
        assert (types(abused), abused[0].status) == (["suspended"], "suspended")
        unpaid = received(abused[0], suspended=True)
        assert (types(unpaid), unpaid[0].status) == (["updated"], "suspended")
        paid = received(unpaid[0], seq=2)
        assert paid[0].status == "suspended"

    def test_operator_cannot_lift_a_suspension_by_billing(self) -> None:
        both, _ = domain.suspend_tenant(received(tenant(), suspended=True)[0], reason="Spam", abuse=True, now=LATER)
        lifted = domain.reactivate_tenant(both, now=LATER)
        assert (types(lifted), lifted[0].status) == (["suspended"], "suspended_by_billing")
        with pytest.raises(TenantNotSuspended):
            domain.reactivate_tenant(lifted[0], now=LATER)

    def test_becomes_active_when_both_suspensions_are_lifted(self) -> None:
        suspended, _ = domain.suspend_tenant(tenant(), reason="Spam", abuse=False, now=LATER)
        active = domain.reactivate_tenant(suspended, now=LATER)
        assert (types(active), active[0].status) == (["reactivated"], "active")
        unpaid = received(tenant(), suspended=True)
        assert (types(unpaid), types(received(unpaid[0], seq=2))) == (["suspended"], ["reactivated"])


class TestApplySubscription:
    def test_publishes_plan_and_suspension_with_the_same_state(self) -> None:
        after, events = received(tenant(), plan=Plan.FREE, suspended=True)
        assert [event.type for event in events] == ["tenant.suspended.v1", "tenant.plan_changed.v1"]
        assert {event.seq for event in events} == {2}
        assert events[0].data.model_dump() == events[1].data.model_dump()
        assert (after.plan, after.status) == (Plan.FREE, "suspended_by_billing")

    def test_ignores_an_older_event(self) -> None:
        there, _ = received(tenant(), seq=2, plan=Plan.ENTERPRISE)
        assert received(there, seq=1, plan=Plan.FREE) == (there, [])
        assert received(there, seq=2, plan=Plan.FREE) == (there, [])

    def test_ignores_a_tenant_being_deleted(self) -> None:
        going, _ = domain.request_deletion(tenant(), by="user:1", now=LATER)
        assert received(going, plan=Plan.FREE) == (going, [])


class TestDeletion:
    def test_publishes_the_full_state_and_blocks_changes(self) -> None:
        going, [payload] = domain.request_deletion(tenant(), by="user:1", now=LATER)
        assert (payload.id, payload.data.status) == ("acme:2:deletion_requested", "deleting")
        with pytest.raises(TenantBeingDeleted):
            domain.change_tenant(going, TenantChange(name="x"), now=LATER)
        with pytest.raises(TenantBeingDeleted):
            domain.suspend_tenant(going, reason="x", abuse=False, now=LATER)
        with pytest.raises(TenantBeingDeleted):
            domain.request_deletion(going, by="user:1", now=LATER)


class TestCurrentUsage:
    def test_resets_numbers_of_an_earlier_month(self) -> None:
        usage = CurrentUsage(users=2, storage_gb=3, monthly_requests=4, monthly_tokens=5, month="2026-10")
        assert usage.in_month("2026-10") == usage
        assert usage.in_month("2026-11") == CurrentUsage(users=2, storage_gb=3, month="2026-11")
