"""What ties log lines and events together."""

import contextvars

import pytest

from shared.observability import continue_trace, current_trace_id, logger, trace_of_caller, trace_of_invocation


class TestContinueTrace:
    def test_names_the_trace_of_what_is_said_from_here_on(self) -> None:
        context = contextvars.copy_context()
        context.run(continue_trace, "1-abc")
        assert context.run(current_trace_id) == "1-abc"
        assert context.run(logger.thread_safe_get_current_keys) == {"trace_id": "1-abc"}

    def test_forgets_what_an_earlier_invocation_has_said(self) -> None:
        context = contextvars.copy_context()
        context.run(lambda: logger.thread_safe_append_keys(tenant_id="acme"))
        context.run(continue_trace, "1-abc")
        assert "tenant_id" not in context.run(logger.thread_safe_get_current_keys)

    def test_two_contexts_do_not_hear_each_other(self) -> None:
        one, other = contextvars.copy_context(), contextvars.copy_context()
        one.run(continue_trace, "1-one")
        other.run(continue_trace, "1-other")
        assert one.run(logger.thread_safe_get_current_keys) == {"trace_id": "1-one"}


class TestTraceOfCaller:
    TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

    @pytest.mark.parametrize("rest", ["00f067aa0ba902b7-01", "00f067aa0ba902b7-00-later"])
    def test_is_written_as_x_ray_does(self, rest: str) -> None:
        assert trace_of_caller(f"00-{self.TRACE}-{rest}") == "1-4bf92f35-77b34da6a3ce929d0e0e4736"

    @pytest.mark.parametrize(
        "traceparent",
        [
            None,
            "",
            TRACE,
            f"ff-{TRACE}-00f067aa0ba902b7-01",
            f"00-{'0' * 32}-00f067aa0ba902b7-01",
            f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
            f"00-{TRACE}-00f067aa0ba902b7-01x",
        ],
    )
    def test_is_nothing_when_there_is_none_to_trust(self, traceparent: str | None) -> None:
        assert trace_of_caller(traceparent) == ""


class TestTraceOfInvocation:
    @pytest.mark.parametrize(
        ("header", "root"),
        [("Root=1-abc;Parent=def;Sampled=1", "1-abc"), ("Parent=def;Root=1-abc", "1-abc"), ("", ""), ("garbage", "")],
    )
    def test_is_the_root(self, monkeypatch: pytest.MonkeyPatch, header: str, root: str) -> None:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
        assert trace_of_invocation() == root
