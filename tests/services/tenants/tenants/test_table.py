"""Keys and items of the tenants slice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tenants.domain.tenant import BillingWord, CurrentUsage, Deletion, Suspension, Tenant
from services.tenants.errors import ProjectNotFound, TenantExists, TenantNotFound
from services.tenants.operations import tenants
from services.tenants.table import config_key
from services.tenants.table.items import tenant_from_item, tenant_to_item
from services.tenants.table.projects import get_project, list_projects
from services.tenants.table.tenants import get_tenant, list_tenants
from shared.plans import Plan
from shared.storage.items import item_from_wire, item_to_wire
from shared.storage.store import Store
from tests.services.tenants.acme import LATER, NOW, create, project_names, said

COUNTS = st.integers(-1, 10**12)


class TestTenantItem:
    @given(
        st.builds(
            Tenant,
            tenant_id=st.just("acme"),
            name=st.text(),
            plan=st.sampled_from(Plan),
            own_limits=st.fixed_dictionaries(
                {}, optional={"max_users": COUNTS, "enabled_features": st.lists(st.text(min_size=1)).map(tuple)}
            ),
            usage=st.builds(CurrentUsage, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.just("")),
            wants_overage=st.booleans(),
            suspension=st.none() | st.builds(Suspension, st.text(), st.booleans(), st.none() | st.just(NOW)),
            billing=st.builds(BillingWord, st.booleans(), st.none() | st.just(NOW), COUNTS),
            deletion=st.none() | st.builds(Deletion, st.text(), st.just(NOW)),
            seq=st.integers(0, 10**9),
            created_at=st.just(NOW),
            updated_at=st.just(NOW),
        )
    )
    def test_what_is_written_comes_back(self, tenant: Tenant) -> None:
        wire = item_to_wire(tenant_to_item(tenant))
        assert tenant_from_item(item_from_wire(wire)) == tenant

    def test_has_the_attributes_that_operators_know(self, store: Store) -> None:
        item = store.get(config_key("acme"))
        assert item is not None
        assert (item["PK"], item["SK"]) == ("TENANT#acme", "CONFIG")
        names = {"tenantId", "name", "plan", "limits", "current_usage", "status", "created_at", "updated_at"}
        assert names <= set(item)
        assert item["current_usage"] == {
            "users": 0,
            "projects": 0,
            "storage_gb": 0,
            "monthly_requests": 0,
            "monthly_tokens": 0,
        }

    def test_one_that_was_made_with_aws_tools_has_no_version(self, store: Store) -> None:
        item = store.get(config_key("acme"))
        assert item is not None
        assert tenant_from_item({name: value for name, value in item.items() if name != "seq"}).seq == 0


class TestTenants:
    def test_an_id_is_taken_once(self, store: Store) -> None:
        with pytest.raises(TenantExists):
            tenants.create_tenant(store, "acme", name="Another", plan=Plan.PRO, now=NOW)
        assert get_tenant(store, "acme").name == "Acme"
        assert len(said(store)) == 1

    def test_one_that_is_not_there_is_not_found(self, store: Store) -> None:
        with pytest.raises(TenantNotFound):
            get_tenant(store, "acm")

    def test_operators_see_all(self, store: Store) -> None:
        tenants.create_tenant(store, "acme2", name="Two", plan=Plan.PRO, now=LATER)
        assert [tenant.tenant_id for tenant in list_tenants(store)] == ["acme", "acme2"]


class TestProjects:
    def test_are_those_of_the_tenant_alone(self, store: Store) -> None:
        tenants.create_tenant(store, "acme2", name="Two", plan=Plan.PRO, now=NOW)
        create(store, "1")
        assert list_projects(store, "acme2", limit=10, after=None) == ([], None)
        with pytest.raises(ProjectNotFound):
            get_project(store, "acme2", "prj_1")

    def test_are_listed_newest_first_page_by_page(self, store: Store) -> None:
        create(store, "1")
        create(store, "2")
        first, after = list_projects(store, "acme", limit=1, after=None)
        second, end = list_projects(store, "acme", limit=1, after=after)
        assert [project.name for project in (*first, *second)] == ["2", "1"] == project_names(store)
        assert end is None

    def test_come_back_as_they_were_written(self, store: Store) -> None:
        project = create(store, "1")
        assert get_project(store, "acme", "prj_1") == project
