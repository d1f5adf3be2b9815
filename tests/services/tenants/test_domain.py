"""The rules of tenants, projects and users."""

from datetime import UTC, datetime, timedelta

import pytest

from services.tenants import domain
from services.tenants.domain import CurrentUsage
from shared.plans import LIMITS, Limits, Plan
from shared.tenancy.permissions import Role

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
OWN = Limits(1, 1, 1, 1, 1, ("agents",))


class TestCreateTenant:
    @pytest.mark.parametrize("plan", Plan)
    def test_has_the_limits_of_its_plan(self, plan: Plan) -> None:
        tenant, _ = domain.create_tenant("acme", name="Acme", plan=plan, limits=None, now=NOW)
        assert tenant.limits == LIMITS[plan]
        assert (tenant.status, tenant.seq, tenant.usage) == ("active", 1, CurrentUsage())

    def test_may_have_its_own(self) -> None:
        tenant, created = domain.create_tenant("acme", name="Acme", plan=Plan.FREE, limits=OWN, now=NOW)
        assert tenant.limits == OWN
        assert created.data.limits.max_projects == 1

    def test_says_its_full_state_and_not_its_name(self) -> None:
        _, created = domain.create_tenant("acme", name="Acme Ltd", plan=Plan.PRO, limits=None, now=NOW)
        assert (created.id, created.subject, created.seq) == ("acme:created", "acme", 1)
        assert created.data.model_dump(exclude={"limits"}) == {
            "plan": "pro",
            "status": "active",
            "overage": "block",
        }
        assert "Acme Ltd" not in created.model_dump_json()

    def test_access_is_what_decides_about_a_change(self) -> None:
        access = domain.create_tenant("acme", name="Acme", plan=Plan.FREE, limits=None, now=NOW)[0].access
        assert (access.tenant_id, access.status, access.enabled_features) == ("acme", "active", ("agents",))


class TestProject:
    def test_its_life_is_said_once_each(self) -> None:
        project, created = domain.create_project("acme", project_id="prj_1", name="One", description=None, now=NOW)
        changed = domain.change_project(project, name="Two", description="It", now=LATER)
        deleted = domain.delete_project("acme", changed, now=LATER)
        assert [(event.id, event.subject, event.seq) for event in (created, deleted)] == [
            ("prj_1:created", "prj_1", 1),
            ("prj_1:deleted", "prj_1", 3),
        ]

    def test_a_change_is_a_new_version(self) -> None:
        project, _ = domain.create_project("acme", project_id="prj_1", name="One", description=None, now=NOW)
        changed = domain.change_project(project, name="Two", description="It", now=LATER)
        assert (changed.name, changed.description, changed.seq) == ("Two", "It", 2)
        assert (changed.created_at, changed.updated_at) == (NOW, LATER)
        assert project.seq == 1


def test_an_invitation_says_nothing_of_who_it_is() -> None:
    user, invited = domain.invite_user("acme", user_id="8f1c", email="a@b.com", role=Role.DEVELOPER, now=NOW)
    assert user.email == "a@b.com"
    assert invited.id == "8f1c:invited"
    assert "a@b.com" not in invited.model_dump_json()
