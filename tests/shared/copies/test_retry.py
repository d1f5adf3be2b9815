"""Reads wait for copies whose events are still being delivered."""

from collections.abc import Callable

import pytest

from shared.copies.retry import read_until_present
from shared.deadline import MARGIN_S, invocation
from shared.errors import DependencyUnavailable
from tests.invocations import FakeLambdaContext


class Clock:
    """A clock that advances only during sleeps and reads."""

    def __init__(self, *, read_duration_s: float = 0.0) -> None:
        self.now = 1_000.0
        self.pauses: list[float] = []
        self.reads = 0
        self._read_duration_s = read_duration_s

    def sleep(self, seconds: float) -> None:
        """Advance the clock."""
        self.pauses.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        """Return the time."""
        return self.now

    def read_available_after(self, seconds: float) -> Callable[[], str | None]:
        """Return a read of a copy that arrives after this number of seconds."""
        available_at = self.now + seconds

        def read() -> str | None:
            self.reads += 1
            self.now += self._read_duration_s
            return "copy" if self.now >= available_at else None

        return read

    def wait_for_copy(self, seconds: float) -> str:
        """Read until the copy has arrived."""
        return read_until_present(self.read_available_after(seconds), sleep=self.sleep, monotonic=self.monotonic)


class TestReadUntilPresent:
    def test_returns_an_existing_copy_at_once(self) -> None:
        clock = Clock()
        assert clock.wait_for_copy(0) == "copy"
        assert (clock.reads, clock.pauses) == (1, [])

    @pytest.mark.parametrize("seconds", [0.01, 0.5, 4.5])
    def test_returns_a_copy_that_arrives_in_time(self, seconds: float) -> None:
        clock = Clock()
        assert clock.wait_for_copy(seconds) == "copy"
        assert clock.now - 1_000 < seconds + 0.25

    def test_doubles_the_pauses_up_to_a_quarter_of_a_second(self) -> None:
        clock = Clock()
        clock.wait_for_copy(2)
        assert clock.pauses[:6] == [0.02, 0.04, 0.08, 0.16, 0.25, 0.25]

    @pytest.mark.parametrize("read_duration_s", [0.0, 0.3])
    def test_raises_after_five_seconds(self, read_duration_s: float) -> None:
        clock = Clock(read_duration_s=read_duration_s)
        with pytest.raises(DependencyUnavailable) as raised:
            clock.wait_for_copy(60)
        assert raised.value.retry_after_s == 1
        assert 4.4 < clock.now - 1_000 <= 5.3


class TestDeadline:
    def test_ends_the_wait(self) -> None:
        clock = Clock()
        with invocation(FakeLambdaContext(MARGIN_S + 1)), pytest.raises(DependencyUnavailable):
            clock.wait_for_copy(4)
        assert sum(clock.pauses) <= 1

    def test_in_the_past_allows_one_read(self) -> None:
        clock = Clock()
        with invocation(FakeLambdaContext(0)), pytest.raises(DependencyUnavailable):
            clock.wait_for_copy(1)
        assert (clock.reads, clock.pauses) == (1, [])
