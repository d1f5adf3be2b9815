"""What a schedule wakes."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from shared.deadline import invocation, remaining_s
from shared.metrics import Metric
from shared.observability import continue_trace, report, trace_of_invocation

_SCHEDULE = "aws.events"
"""The source of a schedule's event."""
Done = tuple[Mapping[str, object], Mapping[Metric, float]]
"""What was done, and the numbers that are watched."""


def scheduled(
    message: str, *, every_s: float | None = None, sleep: Callable[[float], None] = time.sleep
) -> Callable[[Callable[[], Done]], Callable[..., None]]:
    """Make a Lambda handler of work that a schedule repeats; each time it logs one line.

    Args:
        message: of the log line.
        every_s: repeat the work after this time until the invocation's time is over, since no schedule comes more often
            than once a minute. An invocation that no schedule has made does the work once.
        sleep: waits for a number of seconds.
    """

    def made(work: Callable[[], Done]) -> Callable[..., None]:
        def handler(event: dict[str, Any], context: object = None) -> None:
            continue_trace(trace_of_invocation())
            with invocation(context):
                _report(message, work())
                while every_s and event.get("source") == _SCHEDULE and every_s < remaining_s() < math.inf:
                    sleep(every_s)
                    _report(message, work())

        handler.__doc__ = work.__doc__
        return handler

    return made


def _report(message: str, done: Done) -> None:
    facts, measured = done
    report(message, measured, **facts)
