"""Copies have the state of the newest event, in whichever order the events arrive."""

from collections.abc import Iterator
from itertools import permutations

import pytest

from shared.copies.table import write_if_newer
from shared.copies.tenant_access import DELETED, TenantAccessCopies, access_key
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
    def test_stores_the_newest_version_in_any_order(self, store: Store, order: tuple[int, ...]) -> None:
        key = Key(SLICE.key("acme"), f"COPY#{order}")
        for seq in order:
            write_if_newer(store, "acme", {**key.attributes, "seq": seq, "state": f"after {seq}"})
        assert store.get(key) == {**key.attributes, "seq": 3, "state": "after 3"}

    def test_does_not_overwrite_the_same_version(self, store: Store) -> None:
        key = Key(SLICE.key("acme"), "COPY#SAME")
        write_if_newer(store, "acme", {**key.attributes, "seq": 1, "state": "first"})
        write_if_newer(store, "acme", {**key.attributes, "seq": 1, "state": "second"})
        found = store.get(key)
        assert found is not None
        assert found["state"] == "first"


class TestTenantAccessCopies:
    def test_store_status_plan_and_allowance(self, store: Store) -> None:
        copies = TenantAccessCopies(store)
        copies.keep(tenant_created("kept", plan=Plan.FREE))
        allowance = Allowance(1_000, 100_000, 1, overage=False, concurrent_runs=5)
        assert copies.read("kept") == TenantAccess("kept", 1, "active", "free", ("agents",), allowance)

    @pytest.mark.parametrize(("limit", "expected"), [(None, 50), (7, 7), (-1, -1)])
    def test_use_the_plans_limit_of_concurrent_runs_if_the_event_has_none(
        self, store: Store, limit: int | None, expected: int
    ) -> None:
        copies, tenant_id = TenantAccessCopies(store), f"old-{limit}"
        copies.keep(tenant_created(tenant_id, plan=Plan.PRO, max_concurrent_runs=limit))
        assert copies.read(tenant_id).allowance.concurrent_runs == expected

    def test_use_the_plans_limit_of_concurrent_runs_if_the_copy_has_none(self, store: Store) -> None:
        copies = TenantAccessCopies(store)
        copies.keep(tenant_created("before", plan=Plan.FREE))
        item = store.get(access_key(SLICE, "before"))
        assert item is not None
        older = {name: value for name, value in item.items() if name != "max_concurrent_runs"}
        write_if_newer(store, "before", {**older, "seq": 2})
        assert copies.read("before").allowance.concurrent_runs == 5

    def test_store_limits_of_zero_for_the_preceding_release(self, store: Store) -> None:
        limits = dict.fromkeys(("max_requests_per_month", "max_tokens_per_month", "max_storage_gb"), 0)
        TenantAccessCopies(store).keep(tenant_created("none", **limits))
        item = store.get(access_key(SLICE, "none"))
        assert item is not None
        assert limits.items() <= item.items()

    def test_of_a_deleted_tenant_have_no_features(self, store: Store) -> None:
        tombstone = {**access_key(SLICE, "gone").attributes, "seq": 9, "status": DELETED}
        write_if_newer(store, "gone", tombstone)
        known = TenantAccessCopies(store).read("gone")
        assert (known.status, known.seq, known.enabled_features) == ("deleted", 9, ())

    def test_ignore_an_older_event(self, store: Store) -> None:
        copies = TenantAccessCopies(store)
        copies.keep(tenant_created("late", seq=2, plan=Plan.ENTERPRISE))
        copies.keep(tenant_created("late", seq=1, plan=Plan.FREE))
        assert copies.read("late").plan == "enterprise"

    def test_are_separate_for_each_tenant(self, store: Store) -> None:
        copies = TenantAccessCopies(store)
        copies.keep(tenant_created("one", plan=Plan.FREE))
        copies.keep(tenant_created("two"))
        assert (copies.read("one").plan, copies.read("two").plan) == ("free", "pro")
        assert access_key(SLICE, "one") != access_key(SLICE, "two")
