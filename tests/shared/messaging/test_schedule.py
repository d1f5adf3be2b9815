"""Scheduled work."""

import time
from collections.abc import Mapping

import pytest

from shared.messaging.schedule import WorkReport, scheduled
from tests.invocations import FakeLambdaContext

SCHEDULE = {"source": "aws.events", "detail-type": "Scheduled Event"}


class TestScheduled:
    def _times(self, event: Mapping[str, str], context: object, monkeypatch: pytest.MonkeyPatch) -> int:
        """Return how often work with an interval of 15 s is executed."""
        executions: list[int] = []
        now = time.monotonic()
        slept: list[float] = []
        monkeypatch.setattr("shared.deadline.time.monotonic", lambda: now + sum(slept))

        def work() -> WorkReport:
            executions.append(1)
            return {}, {}

        scheduled("done", every_s=15.0, sleep=slept.append)(work)(dict(event), context)
        return len(executions)

    @pytest.mark.parametrize(("seconds", "times"), [(58, 4), (29, 2), (16, 1)])
    def test_repeats_the_work_while_there_is_time(
        self, seconds: float, times: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self._times(SCHEDULE, FakeLambdaContext(seconds), monkeypatch) == times

    def test_executes_once_without_a_schedule_event(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self._times({}, FakeLambdaContext(58), monkeypatch) == 1

    def test_executes_once_without_a_time_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self._times(SCHEDULE, None, monkeypatch) == 1
