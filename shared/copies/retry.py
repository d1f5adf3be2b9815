"""Waiting for a copy whose event is in transit, usually for milliseconds."""

import time
from collections.abc import Callable
from typing import TypeVar

from shared.deadline import bounded_s
from shared.errors import DependencyUnavailable

T = TypeVar("T")

_MAX_WAIT_S = 5.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.25


def read_until_present(
    read: Callable[[], T | None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> T:
    """Repeat a read until it returns a value, for up to 5 s and not past the deadline.

    Raises:
        DependencyUnavailable: no value arrived in time.
    """
    deadline = monotonic() + bounded_s(_MAX_WAIT_S)
    pause = _FIRST_PAUSE_S
    while (found := read()) is None:
        if monotonic() + pause > deadline:
            msg = "This resource was created a moment ago and is not available everywhere yet. Try again."
            raise DependencyUnavailable(msg, retry_after_s=1)
        sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)
    return found
