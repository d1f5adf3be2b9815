"""Copies are as new as the newest event, in whatever order the events arrive."""

from collections.abc import Iterator
from itertools import permutations

import pytest

from shared.copies.tenant_access import DELETED, TenantAccessCopies, access_key, write_if_newer
from shared.declaration import Slice, Table
from shared.plans import Plan
from shared.storage.items import Key
from shared.storage.store import Store
from shared.tenancy.context import Allowance, TenantAccess
from tests import tables
from tests.tenants import tenant_created

SLICE = Slice("RUNS", Table.ENTITIES)


@pytest.fixture(scope="module", name="store")
def make_store() -> Iterator[Store]:
    with tables.store(SLICE) as store:
        yield store


class TestWriteIfNewer:
    @pytest.mark.parametrize("order", [*permutations((1, 2, 3)), (3, 3, 1), (2, 3, 2, 1, 3)], ids=str)
    def test_the_newest_stays_in_any_order(self, store: Store, order: tuple[int, ...]) -> None:
        key = Key(SLICE.key("acme"), f"COPY#{order}")
        for seq in order:
            write_if_newer(store, "acme", {**key.attributes, "seq": seq, "state": f"after {seq}"})
        assert store.get(key) == {**key.attributes, "seq": 3, "state": "after 3"}

    def test_the_same_version_is_not_written_over(self, store: Store) -> None:
        key = Key(SLICE.key("acme"), "COPY#SAME")
        write_if_newer(store, "acme", {**key.attributes, "seq": 1, "state": "first"})
        write_if_newer(store, "acme", {**key.attributes, "seq": 1, "state": "second"})
        found = store.get(key)
        assert found is not None
        assert found["state"] == "first"


class TestTenantAccessCopies:
    def test_keeps_what_decides_about_a_change(self, store: Store) -> None:
        copies = TenantAccessCopies(store)
        copies.keep(tenant_created("kept", plan=Plan.FREE))
        allowance = Allowance(1_000, 100_000, 1, overage=False, concurrent_runs=5)
        assert copies.read("kept") == TenantAccess("kept", 1, "active", "free", ("agents",), allowance)

    @pytest.mark.parametrize(("own", "expected"), [(None, 50), (7, 7), (-1, -1)])
    def test_takes_the_plans_limit_of_concurrent_runs_from_an_event_that_has_none(
        self, store: Store, own: int | None, expected: int
    ) -> None:
        copies, tenant_id = TenantAccessCopies(store), f"old-{own}"
        copies.keep(tenant_created(tenant_id, plan=Plan.PRO, max_concurrent_runs=own))
        assert copies.read(tenant_id).allowance.concurrent_runs == expected

    def test_takes_the_plans_limit_of_concurrent_runs_where_the_copy_is_older_than_the_limit(
        self, store: Store
    ) -> None:
        copies = TenantAccessCopies(store)
        copies.keep(tenant_created("before", plan=Plan.FREE))
        item = store.get(access_key(SLICE, "before"))
        assert item is not None
        older = {name: value for name, value in item.items() if name != "max_concurrent_runs"}
        write_if_newer(store, "before", {**older, "seq": 2})
        assert copies.read("before").allowance.concurrent_runs == 5

    def test_of_a_deleted_tenant_allows_nothing(self, store: Store) -> None:
        tombstone = {**access_key(SLICE, "gone").attributes, "seq": 9, "status": DELETED}
        write_if_newer(store, "gone", tombstone)
        known = TenantAccessCopies(store).read("gone")
        assert (known.status, known.seq, known.enabled_features) == ("deleted", 9, ())

    def test_an_older_event_changes_nothing(self, store: Store) -> None:
        copies = TenantAccessCopies(store)
        copies.keep(tenant_created("late", seq=2, plan=Plan.ENTERPRISE))
        copies.keep(tenant_created("late", seq=1, plan=Plan.FREE))
        assert copies.read("late").plan == "enterprise"

    def test_each_tenant_has_its_own(self, store: Store) -> None:
        copies = TenantAccessCopies(store)
        copies.keep(tenant_created("one", plan=Plan.FREE))
        copies.keep(tenant_created("two"))
        assert (copies.read("one").plan, copies.read("two").plan) == ("free", "pro")
        assert access_key(SLICE, "one") != access_key(SLICE, "two")
