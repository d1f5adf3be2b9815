"""Waiting for what is on its way."""

from collections.abc import Callable

import pytest

from shared.copies.patience import read_until_there
from shared.deadline import MARGIN_S, invocation
from shared.errors import DependencyUnavailable
from tests.invocations import Remaining


class Clock:
    """Time that passes only when somebody sleeps or reads."""

    def __init__(self, *, a_read_takes: float = 0.0) -> None:
        self.now = 1_000.0
        self.pauses: list[float] = []
        self.reads = 0
        self._a_read_takes = a_read_takes

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.pauses.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        """The time."""
        return self.now

    def there_after(self, seconds: float) -> Callable[[], str | None]:
        """A read of something that arrives after so long."""
        arrives = self.now + seconds

        def read() -> str | None:
            self.reads += 1
            self.now += self._a_read_takes
            return "copy" if self.now >= arrives else None

        return read

    def wait_for(self, seconds: float) -> str:
        """Read until it is there."""
        return read_until_there(self.there_after(seconds), sleep=self.sleep, monotonic=self.monotonic)


class TestReadUntilThere:
    def test_what_is_there_is_not_waited_for(self) -> None:
        clock = Clock()
        assert clock.wait_for(0) == "copy"
        assert (clock.reads, clock.pauses) == (1, [])

    @pytest.mark.parametrize("seconds", [0.01, 0.5, 4.5])
    def test_what_arrives_in_time_is_found(self, seconds: float) -> None:
        clock = Clock()
        assert clock.wait_for(seconds) == "copy"
        assert clock.now - 1_000 < seconds + 0.25

    def test_the_pauses_grow_to_a_quarter_of_a_second(self) -> None:
        clock = Clock()
        clock.wait_for(2)
        assert clock.pauses[:6] == [0.02, 0.04, 0.08, 0.16, 0.25, 0.25]

    @pytest.mark.parametrize("a_read_takes", [0.0, 0.3])
    def test_gives_up_after_five_seconds(self, a_read_takes: float) -> None:
        clock = Clock(a_read_takes=a_read_takes)
        with pytest.raises(DependencyUnavailable) as gave_up:
            clock.wait_for(60)
        assert gave_up.value.retry_after_s == 1
        assert 4.4 < clock.now - 1_000 <= 5.3


class TestDeadline:
    def test_ends_the_wait(self) -> None:
        clock = Clock()
        with invocation(Remaining(MARGIN_S + 1)), pytest.raises(DependencyUnavailable):
            clock.wait_for(4)
        assert sum(clock.pauses) <= 1

    def test_in_the_past_allows_one_read(self) -> None:
        clock = Clock()
        with invocation(Remaining(0)), pytest.raises(DependencyUnavailable):
            clock.wait_for(1)
        assert (clock.reads, clock.pauses) == (1, [])
