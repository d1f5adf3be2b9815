"""The time that the current invocation may still use.

Lambda ends an invocation at its time limit without an answer, and API Gateway stops waiting after 29 s
(https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html), counted
from when it received the request: a cold start is part of that time. Code that waits asks here for how long it may.
"""

import math
import time
from collections.abc import Callable
from typing import Any

from shared.scope import Opened, current, narrowed

GATEWAY_TIMEOUT_S = 29.0
MARGIN_S = 2.0
"""Kept back to save unfinished work and to respond."""

_MAX_CLOCK_SKEW_S = 60.0


def remaining_s() -> float:
    """Return the seconds that may still be used, never negative; infinite outside of an invocation."""
    return max(0.0, current().ends_at - time.monotonic())


def bounded_s(wanted_s: float) -> float:
    """Return the wanted seconds, or as many as remain."""
    return min(wanted_s, remaining_s())


def invocation(context: object, *, requested_at_ms: int | None = None) -> Opened:
    """Apply the limits of one invocation to everything in this block.

    Args:
        context: Lambda's context object; one without a time limit (in tests) sets none.
        requested_at_ms: when API Gateway received the request, in milliseconds since 1970.
    """
    return narrowed(ends_at=end_of_invocation(context, requested_at_ms))


def end_of_invocation(context: object, requested_at_ms: int | None) -> float:
    """Return the time on the monotonic clock at which work must end, the margin already taken off."""
    left_s = min(_left_of_function_s(context), _left_of_gateway_s(requested_at_ms)) - MARGIN_S
    return time.monotonic() + left_s


def _left_of_function_s(context: object) -> float:
    remaining_ms: Callable[[], Any] | None = getattr(context, "get_remaining_time_in_millis", None)
    return int(remaining_ms()) / 1000 if remaining_ms else math.inf


def _left_of_gateway_s(requested_at_ms: int | None) -> float:
    """Return the gateway's remaining seconds; a timestamp that no clock skew explains is ignored."""
    if requested_at_ms is None:
        return math.inf
    elapsed_s = time.time() - requested_at_ms / 1000
    return GATEWAY_TIMEOUT_S - max(0.0, elapsed_s) if abs(elapsed_s) <= _MAX_CLOCK_SKEW_S else math.inf
