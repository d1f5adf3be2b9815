"""Lambda handlers that a schedule invokes."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from shared.deadline import remaining_s
from shared.edge import open_scope
from shared.metrics import Metric
from shared.observability import report

_SCHEDULE = "aws.events"
"""The source of a schedule's event."""
WorkReport = tuple[Mapping[str, object], Mapping[Metric, float]]
"""Facts about the completed work, and its metrics."""


def scheduled(
    message: str, *, every_s: float | None = None, sleep: Callable[[float], None] = time.sleep
) -> Callable[[Callable[[], WorkReport]], Callable[..., None]]:
    """Return a decorator that makes a Lambda handler of repeated work. The handler logs one line each time.

    Args:
        message: the message of the log line.
        every_s: the seconds after which the work is repeated until the invocation's time is over, since a schedule runs
            at most once a minute. An invocation that does not come from a schedule does the work once.
        sleep: waits for a number of seconds.
    """

    def made(work: Callable[[], WorkReport]) -> Callable[..., None]:
        def handler(event: dict[str, Any], context: object = None) -> None:
            with open_scope(context):
                _report(message, work())
                while every_s and event.get("source") == _SCHEDULE and every_s < remaining_s() < math.inf:
                    sleep(every_s)
                    _report(message, work())

        handler.__doc__ = work.__doc__
        return handler

    return made


def _report(message: str, done: WorkReport) -> None:
    facts, measured = done
    report(message, measured, **facts)
