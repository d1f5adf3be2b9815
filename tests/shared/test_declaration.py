"""The keys of slices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.declaration import Function, Service, Slice, Table, remover_of

RUNS = Slice("RUNS", Table.ENTITIES)
TENANTS = Slice("TENANTS", Table.TENANTS, holds_tenant=True)
SLUGS = st.from_regex(r"[a-z0-9][a-z0-9-]{1,62}", fullmatch=True)


class TestSlice:
    def test_keys_begin_with_the_tenant_and_the_slice(self) -> None:
        assert RUNS.key("acme", "RUN", "run_1") == "TENANT#acme#RUNS#RUN#run_1"

    @given(SLUGS, SLUGS)
    def test_no_key_begins_with_the_key_of_another_tenant(self, tenant_id: str, other_id: str) -> None:
        if tenant_id != other_id:
            assert not RUNS.key(tenant_id, "LIST").startswith(RUNS.key(other_id))

    def test_only_the_tenants_slice_has_the_bare_key(self) -> None:
        assert TENANTS.tenant_key("acme") == "TENANT#acme"
        with pytest.raises(ValueError, match="RUNS"):
            RUNS.tenant_key("acme")

    def test_due_key_is_outside_of_all_tenants(self) -> None:
        assert RUNS.due_key("RUN") == "DUE#RUNS#RUN"


@pytest.mark.parametrize("table", Table)
def test_table_has_a_variable_for_its_name(table: Table) -> None:
    assert table.variable == f"{table.value.upper()}_TABLE_NAME"


def test_service_consumes_the_subscriptions_of_its_functions() -> None:
    functions = (
        Function("one", "a.b", subscriptions=("b.v1", "a.v1")),
        Function("other", "a.c", subscriptions=("a.v1",)),
    )
    assert Service("x", "X.", RUNS, functions).consumes == ("a.v1", "b.v1")


def test_remover_handles_one_tenant_per_batch() -> None:
    assert remover_of("things", "a.b", ("tenant.deleted.v1",)).batch_size == 1
