"""Trace ids connect log lines and events."""

import contextvars

import pytest

from shared.observability import current_trace_id, in_trace, logger, trace_of_caller, trace_of_invocation


class TestInTrace:
    def test_sets_the_trace_of_log_lines_in_the_block(self) -> None:
        with in_trace("1-abc"):
            assert current_trace_id() == "1-abc"
            assert logger.thread_safe_get_current_keys() == {"trace_id": "1-abc"}

    def test_removes_log_fields_of_an_earlier_invocation(self) -> None:
        logger.thread_safe_append_keys(tenant_id="acme")
        with in_trace("1-abc"):
            assert "tenant_id" not in logger.thread_safe_get_current_keys()

    def test_returns_to_the_trace_around_the_block_without_its_log_fields(self) -> None:
        with in_trace("1-outer"):
            with in_trace("1-inner"):
                logger.thread_safe_append_keys(tenant_id="acme")
            assert current_trace_id() == "1-outer"
            assert logger.thread_safe_get_current_keys() == {"trace_id": "1-outer"}

    def test_isolates_contexts(self) -> None:
        def trace_in_a_copy(trace_id: str) -> dict[str, object]:
            with in_trace(trace_id):
                return logger.thread_safe_get_current_keys()

        with in_trace("1-one"):
            assert contextvars.copy_context().run(trace_in_a_copy, "1-other") == {"trace_id": "1-other"}
            assert logger.thread_safe_get_current_keys() == {"trace_id": "1-one"}


class TestTraceOfCaller:
    TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

    @pytest.mark.parametrize("rest", ["00f067aa0ba902b7-01", "00f067aa0ba902b7-00-later"])
    def test_has_the_format_of_x_ray(self, rest: str) -> None:
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
    def test_is_empty_for_an_invalid_header(self, traceparent: str | None) -> None:
        assert trace_of_caller(traceparent) == ""


class TestTraceOfInvocation:
    @pytest.mark.parametrize(
        ("header", "root"),
        [("Root=1-abc;Parent=def;Sampled=1", "1-abc"), ("Parent=def;Root=1-abc", "1-abc"), ("", ""), ("garbage", "")],
    )
    def test_returns_the_root(self, monkeypatch: pytest.MonkeyPatch, header: str, root: str) -> None:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
        assert trace_of_invocation() == root
