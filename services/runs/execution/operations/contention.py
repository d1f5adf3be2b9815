"""Repetition of an operation on a run that changes at the same time."""

from collections.abc import Callable

from services.runs.errors import LeaseLost
from services.runs.runs.domain.run import Run
from shared.errors import Conflict

_MAX_ATTEMPTS = 5


def retry_if_changed(attempt: Callable[[], Run]) -> Run:
    """Load, decide and save; try again if the run has changed in between.

    Raises:
        Conflict: the run has changed during every try.
    """
    for _ in range(_MAX_ATTEMPTS):
        try:
            return attempt()
        except LeaseLost:
            continue
    msg = "The run is changing too quickly; try again."
    raise Conflict(msg)
