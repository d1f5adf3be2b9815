"""Waiting for a copy that is on its way: events take milliseconds, but they take them."""

import time
from collections.abc import Callable
from typing import TypeVar

from shared.deadline import bounded_s
from shared.errors import DependencyUnavailable

T = TypeVar("T")

_PATIENCE_S = 5.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.25


def read_until_there(
    read: Callable[[], T | None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> T:
    """Read again until something is there, for up to 5 s and not past the deadline.

    Raises:
        DependencyUnavailable: it did not arrive.
    """
    deadline = monotonic() + bounded_s(_PATIENCE_S)
    pause = _FIRST_PAUSE_S
    while (found := read()) is None:
        if monotonic() + pause > deadline:
            msg = "This was made a moment ago and is not known everywhere yet; try again."
            raise DependencyUnavailable(msg, retry_after_s=1)
        sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)
    return found
