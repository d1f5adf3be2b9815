"""The keys of slices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.declaration import Function, Service, Slice, Table

RUNS = Slice("RUNS", Table.ENTITIES)
TENANTS = Slice("TENANTS", Table.TENANTS, holds_tenant=True)
SLUGS = st.from_regex(r"[a-z0-9][a-z0-9-]{1,62}", fullmatch=True)


class TestSlice:
    def test_keys_begin_with_the_tenant_and_the_slice(self) -> None:
        assert RUNS.key("acme", "RUN", "run_1") == "TENANT#acme#RUNS#RUN#run_1"

    @given(SLUGS, SLUGS)
    def test_no_key_of_a_tenant_lies_under_another_ones(self, one: str, other: str) -> None:
        if one != other:
            assert not RUNS.key(one, "LIST").startswith(RUNS.key(other))

    def test_one_alone_holds_the_bare_key(self) -> None:
        assert TENANTS.tenant_key("acme") == "TENANT#acme"
        with pytest.raises(ValueError, match="RUNS"):
            RUNS.tenant_key("acme")

    def test_due_work_lies_outside_of_all_tenants(self) -> None:
        assert RUNS.due_key("RUN") == "DUE#RUNS#RUN"


@pytest.mark.parametrize("table", Table)
def test_a_table_is_named_by_its_variable(table: Table) -> None:
    assert table.variable == f"{table.value.upper()}_TABLE_NAME"


def test_a_service_consumes_what_its_functions_subscribe_to() -> None:
    functions = (
        Function("one", "a.b", subscriptions=("b.v1", "a.v1")),
        Function("other", "a.c", subscriptions=("a.v1",)),
    )
    assert Service("x", "X.", RUNS, functions).consumes == ("a.v1", "b.v1")
