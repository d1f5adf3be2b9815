"""Work that a schedule repeats."""

import time
from collections.abc import Mapping

import pytest

from shared.messaging.schedule import Done, scheduled
from tests.invocations import Remaining

SCHEDULE = {"source": "aws.events", "detail-type": "Scheduled Event"}


class TestScheduled:
    def _times(self, event: Mapping[str, str], context: object, monkeypatch: pytest.MonkeyPatch) -> int:
        """How often the work is done that is to be repeated every 15 s."""
        done: list[int] = []
        now = time.monotonic()
        slept: list[float] = []
        monkeypatch.setattr("shared.deadline.time.monotonic", lambda: now + sum(slept))

        def work() -> Done:
            done.append(1)
            return {}, {}

        scheduled("done", every_s=15.0, sleep=slept.append)(work)(dict(event), context)
        return len(done)

    @pytest.mark.parametrize(("seconds", "times"), [(58, 4), (29, 2), (16, 1)])
    def test_repeats_the_work_while_there_is_time(
        self, seconds: float, times: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self._times(SCHEDULE, Remaining(seconds), monkeypatch) == times

    def test_does_it_once_when_no_schedule_asks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self._times({}, Remaining(58), monkeypatch) == 1

    def test_does_it_once_without_a_time_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self._times(SCHEDULE, None, monkeypatch) == 1
