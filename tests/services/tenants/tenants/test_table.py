"""Storage of tenants."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tenants.errors import TenantExists, TenantNotFound
from services.tenants.partitions import SLICE, config_key
from services.tenants.tenants import operations as tenants
from services.tenants.tenants.domain.tenant import BillingDecision, CurrentUsage, Deletion, Suspension, Tenant
from services.tenants.tenants.table.items import TenantItem
from services.tenants.tenants.table.tenants import AllTenants, TenantRecord
from shared.plans import Plan
from shared.storage.items import Value, item_from_wire, item_to_wire
from shared.storage.store import Store
from shared.storage.table import setting
from shared.storage.transaction import PRESENT, Expression
from tests.dynamodb.memory import MemoryDynamoDB
from tests.services.tenants.acme import LATER, NOW, outbox_events

ACME = TenantItem(Store(MemoryDynamoDB(), table="tenants", owned=SLICE), "acme")
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
            billing=st.builds(BillingDecision, st.booleans(), st.none() | st.just(NOW), COUNTS),
            deletion=st.none() | st.builds(Deletion, st.text(), st.just(NOW)),
            seq=st.integers(0, 10**9),
            created_at=st.just(NOW),
            updated_at=st.just(NOW),
        )
    )
    def test_reads_what_was_written(self, tenant: Tenant) -> None:
        wire = item_to_wire(ACME.item(tenant))
        assert ACME.decode(item_from_wire(wire)) == tenant

    def test_has_the_documented_attributes(self, store: Store) -> None:
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

    def test_of_an_earlier_release_is_read_and_changed(self, store: Store) -> None:
        nulls: dict[str, Value] = {"suspension": None, "deletion": None}
        billing = {"suspended": False, "grace_until": None, "seq": 0}
        written = setting({"wants_overage": False, "billing": billing})
        expression = f"{written.text}, " + ", ".join(f"#{name} = :{name}" for name in nulls)
        store.update(config_key("acme"), Expression(expression, {**written.values, **nulls}), when=PRESENT)
        before = TenantRecord(store, "acme").get()
        assert (before.suspension, before.billing, before.deletion) == (None, BillingDecision(), None)
        tenants.suspend_tenant(store, "acme", reason="abuse", abuse=True, now=LATER)
        assert TenantRecord(store, "acme").get().status == "suspended"
        tenants.reactivate_tenant(store, "acme", now=LATER)
        assert TenantRecord(store, "acme").get() == replace(before, seq=3, updated_at=LATER)

    def test_tenant_created_with_aws_tools_has_seq_0(self, store: Store) -> None:
        item = store.get(config_key("acme"))
        assert item is not None
        assert ACME.decode({name: value for name, value in item.items() if name != "seq"}).seq == 0


class TestTenants:
    def test_refuses_an_existing_id(self, store: Store) -> None:
        with pytest.raises(TenantExists):
            tenants.create_tenant(store, "acme", name="Another", plan=Plan.PRO, now=NOW)
        assert TenantRecord(store, "acme").get().name == "Acme"
        assert len(outbox_events(store)) == 1

    def test_raises_not_found_for_an_unknown_id(self, store: Store) -> None:
        with pytest.raises(TenantNotFound):
            TenantRecord(store, "acm").get()

    def test_lists_all_tenants_for_operators(self, store: Store) -> None:
        tenants.create_tenant(store, "acme2", name="Two", plan=Plan.PRO, now=LATER)
        assert [tenant.tenant_id for tenant in AllTenants(store)] == ["acme", "acme2"]
