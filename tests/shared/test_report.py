"""Log lines with metrics, including those of batches, schedules and commands."""

from collections.abc import Callable
from typing import Any

import pytest

from shared import observability
from shared.errors import DependencyUnavailable
from shared.messaging.batch import MAX_RECEIVES, report_batch
from shared.messaging.schedule import WorkReport, scheduled
from shared.metrics import CALL_DURATION, COLD_STARTS, DEAD_LETTERS, MESSAGES, OUTBOX_LATE, TOKENS_IN
from shared.observability import logger, report
from tests.monitoring import PublishedMetrics

LogLines = Callable[[], list[dict[str, Any]]]
DIMENSIONS = {"provider": "openai", "plan": "pro"}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "test")
    monkeypatch.setattr(observability, "_cold", [])


def service_dimensions(**dimensions: str) -> dict[str, str]:
    return {"environment": "test", "service": logger.service, **dimensions}


class TestReport:
    def test_contains_metrics_and_dimensions(self, log_lines: LogLines) -> None:
        report("call ended", {TOKENS_IN: 7, CALL_DURATION: 120}, run_id="run_1", **DIMENSIONS)
        (line,) = log_lines()
        assert (line["message"], line["run_id"], line["TokensIn"], line["CallDuration"]) == (
            "call ended",
            "run_1",
            7,
            120,
        )
        published = PublishedMetrics.from_log_lines([line])
        assert published.contains("TokensIn", service_dimensions(**DIMENSIONS))
        assert published.contains("CallDuration", service_dimensions(**DIMENSIONS))

    def test_can_have_several_sets_of_dimensions(self, log_lines: LogLines) -> None:
        report("both", {TOKENS_IN: 7, OUTBOX_LATE: 0}, **DIMENSIONS)
        published = PublishedMetrics.from_log_lines(log_lines())
        assert published.contains("TokensIn", service_dimensions(**DIMENSIONS))
        assert published.contains("OutboxLate", service_dimensions())
        assert not published.contains("OutboxLate", service_dimensions(**DIMENSIONS))

    def test_contains_the_units(self, log_lines: LogLines) -> None:
        report("call ended", {CALL_DURATION: 120}, **DIMENSIONS)
        (directive,) = log_lines()[0]["_aws"]["CloudWatchMetrics"]
        assert directive["Metrics"] == [{"Name": "CallDuration", "Unit": "Milliseconds"}]
        assert directive["Namespace"] == "ainexus"

    def test_without_metrics_is_a_plain_log_line(self, log_lines: LogLines) -> None:
        report("command", {}, command="seed")
        (line,) = log_lines()
        assert (line["command"], "_aws" in line) == ("seed", False)

    def test_refuses_a_metric_without_its_dimension(self) -> None:
        with pytest.raises(KeyError, match="plan"):
            report("call ended", {TOKENS_IN: 7}, provider="openai")

    def test_counts_a_cold_start_once(self, monkeypatch: pytest.MonkeyPatch, log_lines: LogLines) -> None:
        monkeypatch.setattr(observability, "_cold", [True])
        for _ in range(2):
            report("done", {})
        assert [line.get(COLD_STARTS.name) for line in log_lines()] == [1, None]


def record(message_id: str, *, tries: int = 1) -> dict[str, Any]:
    attributes = {"ApproximateReceiveCount": str(tries), "SentTimestamp": "0"}
    return {"messageId": message_id, "attributes": attributes, "body": "{}"}


class TestBatch:
    def test_logs_failures_and_dead_letters(self, log_lines: LogLines) -> None:
        records = [record("a"), record("b"), record("c", tries=MAX_RECEIVES)]
        failed = {"b": DependencyUnavailable("Not now."), "c": KeyError("hidden")}
        report_batch("things.consumer", records, failed, event_ids=["1"])
        *failures, line = log_lines()
        assert [
            (failure["message_id"], failure["tries"], failure["error"], failure["reason"]) for failure in failures
        ] == [
            ("b", 1, "DependencyUnavailable", "Not now."),
            ("c", MAX_RECEIVES, "KeyError", ""),
        ]
        assert (line["Messages"], line["FailedMessages"], line["DeadLetters"], line["event_ids"]) == (3, 2, 1, ["1"])
        assert line["QueueAge"] > 0
        published = PublishedMetrics.from_log_lines([line])
        assert published.contains(MESSAGES.name, service_dimensions(queue="things.consumer"))
        assert published.contains(DEAD_LETTERS.name, service_dimensions(queue="things.consumer"))

    def test_without_a_sent_time_has_no_age(self, log_lines: LogLines) -> None:
        report_batch("things.consumer", [{"messageId": "a", "body": "{}"}], {})
        assert "QueueAge" not in log_lines()[0]


class TestScheduled:
    def test_logs_the_report_of_the_work(self, monkeypatch: pytest.MonkeyPatch, log_lines: LogLines) -> None:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-abc;Sampled=1")
        handler = scheduled("swept")(lambda: ({"events": 2}, {OUTBOX_LATE: 2}))
        handler({})
        (line,) = log_lines()
        assert (line["message"], line["events"], line["OutboxLate"], line["trace_id"]) == ("swept", 2, 2, "1-abc")

    def test_raises_without_a_log_line_if_the_work_fails(self, log_lines: LogLines) -> None:
        def fail() -> WorkReport:
            raise DependencyUnavailable("Not now.")  # noqa: EM101 — a short text is enough here

        with pytest.raises(DependencyUnavailable):
            scheduled("swept")(fail)({})
        assert log_lines() == []
