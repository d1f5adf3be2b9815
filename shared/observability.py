"""Logs, traces and the ids that tie them together: one structured line per invocation.

Nothing that a user wrote is ever logged: no prompts, outputs, tokens or keys.
"""

import os
import re
from contextvars import ContextVar

from aws_lambda_powertools import Logger

logger = Logger(use_rfc3339=True, utc=True)
"""The one logger; `POWERTOOLS_SERVICE_NAME` names the service."""

_TRACEPARENT = re.compile(r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)")

_trace_id: ContextVar[str] = ContextVar("trace_id", default="")


def current_trace_id() -> str:
    """The X-Ray root of what is being done now; it travels in the envelope of each event."""
    return _trace_id.get()


def continue_trace(trace_id: str) -> None:
    """From here on, what is logged and emitted in this context belongs to that trace, and to nothing before it."""
    _trace_id.set(trace_id)
    logger.thread_safe_clear_keys()
    logger.thread_safe_append_keys(trace_id=trace_id)


def count(metric: str, value: int = 1, **dimensions: str) -> None:
    """Add to a metric of the mesh, by a log line in the embedded metric format of CloudWatch.

    Args:
        metric: its name, for example `UnpricedCalls`.
        value: how many.
        dimensions: of few values each; every combination of values is a metric of its own.
    """
    # Only what has something to count pays for its import.
    from aws_lambda_powertools.metrics import MetricUnit, single_metric

    namespace = f"ainexus-{os.environ['ENVIRONMENT']}"
    with single_metric(metric, MetricUnit.Count, value, namespace=namespace, default_dimensions=dimensions):
        pass


def trace_of_caller(traceparent: str | None) -> str:
    """The trace that a caller names (https://www.w3.org/TR/trace-context), as X-Ray writes it; nothing if none."""
    found = _TRACEPARENT.match(traceparent or "")
    if found is None or found["version"] == "ff" or not int(found["trace"], 16):
        return ""
    return f"1-{found['trace'][:8]}-{found['trace'][8:]}"


def trace_of_invocation() -> str:
    """The root id that the Lambda runtime gives for this invocation, or nothing outside of it."""
    header = os.environ.get("_X_AMZN_TRACE_ID", "")
    return next((part.removeprefix("Root=") for part in header.split(";") if part.startswith("Root=")), "")


def trace_aws_calls() -> None:
    """A subsegment of the X-Ray trace for each call to AWS, where the runtime has a daemon to send it to."""
    if "AWS_XRAY_DAEMON_ADDRESS" in os.environ:
        # Importing the SDK costs a cold start some 100 ms, so only where there is somebody to tell.
        from aws_lambda_powertools import Tracer

        Tracer(patch_modules=("botocore",))


trace_aws_calls()
