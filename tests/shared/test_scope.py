"""One scope for all work: narrowed in blocks, inherited by copies of the context."""

import contextvars
import math
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.aws.credentials import acting_for
from shared.deadline import invocation
from shared.edge import open_scope
from shared.http.call import HttpScope
from shared.observability import in_trace
from shared.scope import WorkScope, current, narrowed
from tests.invocations import FakeLambdaContext


class TestScope:
    def test_is_empty_outside_of_any_work(self) -> None:
        assert current() == WorkScope()

    def test_keeps_what_other_blocks_have_set(self) -> None:
        with in_trace("1-abc"), acting_for("acme"), invocation(FakeLambdaContext(10)):
            scope = current()
        assert (scope.trace_id, scope.tenant_id) == ("1-abc", "acme")
        assert scope.ends_at < math.inf

    def test_stays_of_its_kind_when_it_is_narrowed(self) -> None:
        with open_scope(None, kind=HttpScope), acting_for("acme"):
            scope = current()
        assert (type(scope), scope.tenant_id) == (HttpScope, "acme")

    def test_is_restored_after_an_error(self) -> None:
        with acting_for("acme"):
            with pytest.raises(KeyError), acting_for("other"), in_trace("1-abc"):
                raise KeyError
            assert current() == WorkScope(tenant_id="acme")

    def test_is_inherited_by_a_thread_whose_changes_stay_its_own(self) -> None:
        def in_thread() -> str | None:
            with narrowed(tenant_id=f"{current().tenant_id}-2"):
                return current().tenant_id

        with acting_for("acme"), ThreadPoolExecutor(1) as pool:
            assert pool.submit(contextvars.copy_context().run, in_thread).result() == "acme-2"
            assert current().tenant_id == "acme"
