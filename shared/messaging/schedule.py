"""What a schedule wakes."""

from collections.abc import Callable, Mapping
from typing import Any

from shared.deadline import invocation
from shared.metrics import Metric
from shared.observability import continue_trace, report, trace_of_invocation

Done = tuple[Mapping[str, object], Mapping[Metric, float]]
"""What was done, and the numbers that are watched."""


def scheduled(message: str) -> Callable[[Callable[[], Done]], Callable[..., None]]:
    """Make a Lambda handler of what is to be done again and again; what it gives back is its log line.

    Args:
        message: of that line: what was done.
    """

    def made(work: Callable[[], Done]) -> Callable[..., None]:
        def handler(event: dict[str, Any], context: object = None) -> None:  # noqa: ARG001 — Lambda passes them
            continue_trace(trace_of_invocation())
            with invocation(context):
                facts, measured = work()
            report(message, measured, **facts)

        handler.__doc__ = work.__doc__
        return handler

    return made
