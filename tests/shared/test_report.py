"""Log lines with metrics in them, and what batches, schedules and commands say of themselves."""

from collections.abc import Callable
from typing import Any

import pytest

from shared import observability
from shared.errors import DependencyUnavailable
from shared.messaging.batch import TRIES, report_batch
from shared.messaging.schedule import Done, scheduled
from shared.metrics import CALL_DURATION, COLD_STARTS, DEAD_LETTERS, MESSAGES, OUTBOX_LATE, TOKENS_IN
from shared.observability import logger, report
from tests.monitoring import Sources

LogLines = Callable[[], list[dict[str, Any]]]
ABOUT = {"provider": "openai", "plan": "pro"}


@pytest.fixture(autouse=True)
def _somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "test")
    monkeypatch.setattr(observability, "_cold", [])


def of_service(**others: str) -> dict[str, str]:
    return {"environment": "test", "service": logger.service, **others}


class TestReport:
    def test_has_numbers_and_what_they_are_split_by(self, log_lines: LogLines) -> None:
        report("call ended", {TOKENS_IN: 7, CALL_DURATION: 120}, run_id="run_1", **ABOUT)
        (line,) = log_lines()
        assert (line["message"], line["run_id"], line["TokensIn"], line["CallDuration"]) == (
            "call ended",
            "run_1",
            7,
            120,
        )
        seen = Sources.seen_in([line])
        assert seen.have("TokensIn", of_service(**ABOUT))
        assert seen.have("CallDuration", of_service(**ABOUT))

    def test_may_have_several_sets_of_dimensions(self, log_lines: LogLines) -> None:
        report("both", {TOKENS_IN: 7, OUTBOX_LATE: 0}, **ABOUT)
        seen = Sources.seen_in(log_lines())
        assert seen.have("TokensIn", of_service(**ABOUT))
        assert seen.have("OutboxLate", of_service())
        assert not seen.have("OutboxLate", of_service(**ABOUT))

    def test_names_the_units(self, log_lines: LogLines) -> None:
        report("call ended", {CALL_DURATION: 120}, **ABOUT)
        (directive,) = log_lines()[0]["_aws"]["CloudWatchMetrics"]
        assert directive["Metrics"] == [{"Name": "CallDuration", "Unit": "Milliseconds"}]
        assert directive["Namespace"] == "ainexus"

    def test_without_numbers_is_a_line(self, log_lines: LogLines) -> None:
        report("command", {}, command="seed")
        (line,) = log_lines()
        assert (line["command"], "_aws" in line) == ("seed", False)

    def test_that_lacks_what_a_metric_is_split_by_is_refused(self) -> None:
        with pytest.raises(KeyError, match="plan"):
            report("call ended", {TOKENS_IN: 7}, provider="openai")

    def test_says_once_that_the_container_is_new(self, monkeypatch: pytest.MonkeyPatch, log_lines: LogLines) -> None:
        monkeypatch.setattr(observability, "_cold", [True])
        for _ in range(2):
            report("done", {})
        assert [line.get(COLD_STARTS.name) for line in log_lines()] == [1, None]


def record(message_id: str, *, tries: int = 1) -> dict[str, Any]:
    attributes = {"ApproximateReceiveCount": str(tries), "SentTimestamp": "0"}
    return {"messageId": message_id, "attributes": attributes, "body": "{}"}


class TestBatch:
    def test_says_what_failed_and_what_was_lost(self, log_lines: LogLines) -> None:
        records = [record("a"), record("b"), record("c", tries=TRIES)]
        failed = {"b": DependencyUnavailable("Not now."), "c": KeyError("hidden")}
        report_batch("things.consumer", records, failed, event_ids=["1"])
        *failures, line = log_lines()
        assert [(one["message_id"], one["tries"], one["error"], one["reason"]) for one in failures] == [
            ("b", 1, "DependencyUnavailable", "Not now."),
            ("c", TRIES, "KeyError", ""),
        ]
        assert (line["Messages"], line["FailedMessages"], line["DeadLetters"], line["event_ids"]) == (3, 2, 1, ["1"])
        assert line["QueueAge"] > 0
        seen = Sources.seen_in([line])
        assert seen.have(MESSAGES.name, of_service(queue="things.consumer"))
        assert seen.have(DEAD_LETTERS.name, of_service(queue="things.consumer"))

    def test_that_came_straight_has_no_age(self, log_lines: LogLines) -> None:
        report_batch("things.consumer", [{"messageId": "a", "body": "{}"}], {})
        assert "QueueAge" not in log_lines()[0]


class TestScheduled:
    def test_says_what_was_done(self, monkeypatch: pytest.MonkeyPatch, log_lines: LogLines) -> None:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-abc;Sampled=1")
        handler = scheduled("swept")(lambda: ({"events": 2}, {OUTBOX_LATE: 2}))
        handler({})
        (line,) = log_lines()
        assert (line["message"], line["events"], line["OutboxLate"], line["trace_id"]) == ("swept", 2, 2, "1-abc")

    def test_that_fails_says_nothing_and_is_seen_by_lambda(self, log_lines: LogLines) -> None:
        def fail() -> Done:
            raise DependencyUnavailable("Not now.")  # noqa: EM101 — as told

        with pytest.raises(DependencyUnavailable):
            scheduled("swept")(fail)({})
        assert log_lines() == []
