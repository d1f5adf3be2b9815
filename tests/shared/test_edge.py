"""The edges open a scope that inherits nothing."""

import math
from pathlib import Path

import pytest

from shared.aws.credentials import acting_for
from shared.deadline import MARGIN_S, remaining_s
from shared.edge import open_scope
from shared.http.call import HttpScope, current_call
from shared.observability import current_trace_id
from shared.scope import WorkScope, current
from tests.invocations import FakeLambdaContext

ROOT = Path(__file__).parents[2]


class TestOpenScope:
    def test_has_the_time_limit_and_the_trace_of_the_invocation(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-abc;Sampled=0")
        with open_scope(FakeLambdaContext(MARGIN_S + 5)):
            assert 0 < remaining_s() <= 5
            assert current_trace_id() == "1-abc"
        assert (remaining_s(), current_trace_id()) == (math.inf, "")

    def test_prefers_the_trace_of_the_caller(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-abc;Sampled=0")
        with open_scope(None, trace_id="1-caller"):
            assert current_trace_id() == "1-caller"

    def test_inherits_no_tenant(self) -> None:
        with acting_for("acme"), open_scope(None):
            assert current().tenant_id is None

    def test_has_the_kind_of_the_edge(self) -> None:
        with open_scope(None, kind=HttpScope):
            assert isinstance(current(), HttpScope)
        assert type(current()) is WorkScope


class TestCurrentCall:
    def test_refuses_work_that_is_no_request(self) -> None:
        with open_scope(None), pytest.raises(RuntimeError, match="no HTTP request"):
            current_call()

    def test_refuses_a_request_that_has_not_passed_all_checks(self) -> None:
        with open_scope(None, kind=HttpScope), pytest.raises(RuntimeError, match="checks"):
            current_call()


def test_nothing_but_the_scope_is_stored_in_a_context_variable() -> None:
    sources = [path for folder in ("shared", "services") for path in (ROOT / folder).rglob("*.py")]
    assert [str(path.relative_to(ROOT)) for path in sources if "ContextVar(" in path.read_text()] == ["shared/scope.py"]
