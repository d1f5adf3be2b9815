"""Storage of projects."""

import pytest
from hypothesis import strategies as st

from services.tenants.errors import ProjectNotFound
from services.tenants.projects.table import ProjectTable
from services.tenants.tenants import operations as tenants
from shared.plans import Plan
from shared.storage.store import Store
from tests.services.tenants.acme import NOW, create, project_names

COUNTS = st.integers(-1, 10**12)


class TestProjectItems:
    def test_lists_only_the_tenants_own(self, store: Store) -> None:
        tenants.create_tenant(store, "acme2", name="Two", plan=Plan.PRO, now=NOW)
        create(store, "1")
        assert ProjectTable(store, "acme2").page(limit=10, after=None) == ([], None)
        with pytest.raises(ProjectNotFound):
            ProjectTable(store, "acme2").get("prj_1")

    def test_are_listed_newest_first_page_by_page(self, store: Store) -> None:
        create(store, "1")
        create(store, "2")
        first, after = ProjectTable(store, "acme").page(limit=1, after=None)
        second, end = ProjectTable(store, "acme").page(limit=1, after=after)
        assert [project.name for project in (*first, *second)] == ["2", "1"] == project_names(store)
        assert end is None

    def test_are_read_as_written(self, store: Store) -> None:
        project = create(store, "1")
        assert ProjectTable(store, "acme").get("prj_1") == project
