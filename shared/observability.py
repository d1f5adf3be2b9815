"""Logs, metrics and trace ids: one structured line per invocation.

A metric is a field of a log line, and the line declares which of its fields are metrics (CloudWatch's embedded metric
format). One line thus holds both the number and its context. Text that users wrote is never logged: no prompts,
outputs, tokens or keys.
"""

import gc
import os
import re
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from aws_lambda_powertools import Logger

from shared.metrics import COLD_STARTS, COMMON, NAMESPACE, Metric
from shared.scope import current, narrowed

logger = Logger(use_rfc3339=True, utc=True)
"""The logger of every service; `POWERTOOLS_SERVICE_NAME` sets the service's name."""

_TRACEPARENT = re.compile(r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)")

_cold = [True]
"""Empty after the first report of this container."""


def current_trace_id() -> str:
    """Return the X-Ray root id of the current work, which the envelope of each event carries."""
    return current().trace_id


@contextmanager
def in_trace(trace_id: str) -> Generator[None]:
    """Assign the logs and events of this block to a trace. Log keys that the block adds end with it.

    Powertools stores the log keys in a context variable of its own, which is therefore not part of the scope.
    """
    outer = current()
    with narrowed(trace_id=trace_id):
        _start_log(trace_id)
        try:
            yield
        finally:
            _start_log(outer.trace_id)


def _start_log(trace_id: str) -> None:
    """Replace the log keys of earlier work."""
    logger.thread_safe_clear_keys()
    logger.thread_safe_append_keys(trace_id=trace_id)


def report(message: str, measured: Mapping[Metric, float], **facts: object) -> None:
    """Log a completed operation with its metrics. The first report of a container also counts a cold start.

    Args:
        message: the name of the operation.
        measured: the values of the metrics.
        facts: further fields; they must include the dimensions of the metrics.

    Raises:
        KeyError: a dimension is missing.
    """
    cold = {COLD_STARTS: int(_settle())} if _cold else {}
    logger.info(message, **facts, **_metrics({**measured, **cold}, facts))


def _settle() -> bool:
    """Exclude the objects in memory after a container's first work from garbage collection.

    A full collection would visit every imported module, for tens of milliseconds in the middle of a request.
    """
    gc.freeze()
    return _cold.pop()


def _metrics(measured: Mapping[Metric, float], facts: Mapping[str, object]) -> dict[str, Any]:
    """Return the fields of a log line from which CloudWatch extracts metrics.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    fields: dict[str, Any] = {"environment": os.environ.get("ENVIRONMENT", "unknown")}
    fields |= {metric.name: value for metric, value in measured.items()}
    directives = [
        {
            "Namespace": NAMESPACE,
            "Dimensions": [[*COMMON, *by]],
            "Metrics": [{"Name": metric.name, "Unit": metric.unit} for metric in measured if metric.by == by],
        }
        for by in dict.fromkeys(metric.by for metric in measured)
    ]
    if missing := [name for metric in measured for name in metric.by if name not in facts]:
        raise KeyError(*missing)
    if directives:
        fields["_aws"] = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": directives}
    return fields


def trace_of_caller(traceparent: str | None) -> str:
    """Return the trace of a `traceparent` (https://www.w3.org/TR/trace-context) as X-Ray writes it; empty if none."""
    found = _TRACEPARENT.match(traceparent or "")
    if found is None or found["version"] == "ff" or not int(found["trace"], 16):
        return ""
    return f"1-{found['trace'][:8]}-{found['trace'][8:]}"


def trace_of_invocation() -> str:
    """Return the root id that the Lambda runtime sets for this invocation, or an empty string outside of one."""
    header = os.environ.get("_X_AMZN_TRACE_ID", "")
    return next((part.removeprefix("Root=") for part in header.split(";") if part.startswith("Root=")), "")
