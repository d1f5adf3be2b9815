"""The start of all work: each entry point of a function opens its scope here."""

from collections.abc import Generator
from contextlib import contextmanager

from shared.deadline import end_of_invocation
from shared.observability import in_trace, trace_of_invocation
from shared.scope import Opened, WorkScope


@contextmanager
def open_scope(
    context: object,
    *,
    kind: type[WorkScope] = WorkScope,
    trace_id: str = "",
    requested_at_ms: int | None = None,
) -> Generator[None]:
    """Open a new scope with the time limit and the trace of an invocation. It inherits nothing.

    Args:
        context: Lambda's context object.
        kind: the type of the scope.
        trace_id: the trace that the work continues; empty: the invocation's own.
        requested_at_ms: when API Gateway received the request, in milliseconds since 1970.
    """
    scope = kind(ends_at=end_of_invocation(context, requested_at_ms))
    with Opened(scope), in_trace(trace_id or trace_of_invocation()):
        yield
