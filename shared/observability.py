"""Logs, metrics and the ids that tie them together: one structured line per invocation.

A metric is a field of a log line; the line says which of its fields are metrics (CloudWatch's embedded metric format),
so that one line has the number and all that is known of the case. Nothing that a user wrote is ever logged: no
prompts, outputs, tokens or keys.
"""

import gc
import os
import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from aws_lambda_powertools import Logger

from shared.metrics import COLD_STARTS, COMMON, NAMESPACE, Metric

logger = Logger(use_rfc3339=True, utc=True)
"""The one logger; `POWERTOOLS_SERVICE_NAME` names the service."""

_TRACEPARENT = re.compile(r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)")

_trace_id: ContextVar[str] = ContextVar("trace_id", default="")
_cold = [True]
"""Empty once this container has said that it began."""


def current_trace_id() -> str:
    """The X-Ray root of what is being done now; it travels in the envelope of each event."""
    return _trace_id.get()


def continue_trace(trace_id: str) -> None:
    """From here on, what is logged and emitted in this context belongs to that trace, and to nothing before it."""
    _trace_id.set(trace_id)
    logger.thread_safe_clear_keys()
    logger.thread_safe_append_keys(trace_id=trace_id)


def report(message: str, measured: Mapping[Metric, float], **facts: object) -> None:
    """Log what was done, with its metrics. The first such line of a container says that it was a cold start.

    Args:
        message: what was done.
        measured: the numbers.
        facts: what else is known; what a metric is split by must be among it.
    """
    cold = {COLD_STARTS: int(_settle())} if _cold else {}
    logger.info(message, **facts, **_metrics({**measured, **cold}, facts))


def _settle() -> bool:
    """What is in memory after the first work of a container stays there, and need not be searched for garbage again.

    A full collection looks at all that was imported, for tens of milliseconds, in the middle of somebody's request.
    """
    gc.freeze()
    return _cold.pop()


def _metrics(measured: Mapping[Metric, float], facts: Mapping[str, object]) -> dict[str, Any]:
    """The fields of a log line that make CloudWatch take numbers out of it.

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
    """The trace that a caller names (https://www.w3.org/TR/trace-context), as X-Ray writes it; nothing if none."""
    found = _TRACEPARENT.match(traceparent or "")
    if found is None or found["version"] == "ff" or not int(found["trace"], 16):
        return ""
    return f"1-{found['trace'][:8]}-{found['trace'][8:]}"


def trace_of_invocation() -> str:
    """The root id that the Lambda runtime gives for this invocation, or nothing outside of it."""
    header = os.environ.get("_X_AMZN_TRACE_ID", "")
    return next((part.removeprefix("Root=") for part in header.split(";") if part.startswith("Root=")), "")
