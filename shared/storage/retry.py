"""One way to try a change again while other requests change the same record."""

from collections.abc import Callable
from typing import TypeVar

from shared.errors import ChangedMeanwhile

T = TypeVar("T")

MAX_ATTEMPTS = 5


def retry_on_conflict(
    attempt: Callable[[], T], *, on: type[Exception] = ChangedMeanwhile, max_attempts: int = MAX_ATTEMPTS
) -> T:
    """Load, decide and save, again while other requests change the same record.

    Args:
        attempt: loads the record, decides and saves; the save raises `on` if the record was changed meanwhile.
        on: the error of a change that may succeed when it is tried again.
        max_attempts: how often it is tried. The error of the last attempt is raised.
    """
    for _ in range(max_attempts - 1):
        try:
            return attempt()
        except on:
            continue
    return attempt()
