"""The time that the current invocation may still use.

Lambda ends an invocation at its time limit without an answer, and API Gateway stops waiting after 29 s
(https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html), counted
from when it received the request: a cold start is part of that time. Code that waits asks here for how long it may.
"""

import math
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

GATEWAY_TIMEOUT_S = 29.0
MARGIN_S = 2.0
"""Kept back to save unfinished work and to respond."""

_MAX_CLOCK_SKEW_S = 60.0
_ends_at: ContextVar[float] = ContextVar("ends_at", default=math.inf)
"""On the monotonic clock, the margin already taken off."""


def remaining_s() -> float:
    """Return the seconds that may still be used, never negative; infinite outside of an invocation."""
    return max(0.0, _ends_at.get() - time.monotonic())


def bounded_s(wanted_s: float) -> float:
    """Return the wanted seconds, or as many as remain."""
    return min(wanted_s, remaining_s())


@contextmanager
def invocation(context: object, *, requested_at_ms: int | None = None) -> Generator[None]:
    """Apply the limits of one invocation to everything in this block.

    Args:
        context: Lambda's context object; one without a time limit (in tests) sets none.
        requested_at_ms: when API Gateway received the request, in milliseconds since 1970.
    """
    left_s = min(_left_of_function_s(context), _left_of_gateway_s(requested_at_ms)) - MARGIN_S
    token = _ends_at.set(time.monotonic() + left_s)
    try:
        yield
    finally:
        _ends_at.reset(token)


def _left_of_function_s(context: object) -> float:
    remaining_ms: Callable[[], Any] | None = getattr(context, "get_remaining_time_in_millis", None)
    return int(remaining_ms()) / 1000 if remaining_ms else math.inf


def _left_of_gateway_s(requested_at_ms: int | None) -> float:
    """Return the gateway's remaining seconds; a timestamp that no clock skew explains is ignored."""
    if requested_at_ms is None:
        return math.inf
    elapsed_s = time.time() - requested_at_ms / 1000
    return GATEWAY_TIMEOUT_S - max(0.0, elapsed_s) if abs(elapsed_s) <= _MAX_CLOCK_SKEW_S else math.inf
