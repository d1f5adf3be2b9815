"""The cost model: the billed quantities of one run, and the cost of a million runs on AWS.

Quantities are of one run and may be parts of one: batches are shared. Prices are whole nano-USD.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from infra.costs.counted import MeasuredRun
from infra.services import SERVICES
from shared.events.runs import RunCompleted, UsageRecorded

MILLION = 1_000_000
NANO = 1_000_000_000
BUDGET_USD = 40
"""The upper bound for the cost of a million runs, without the wait for the model."""

FULL_CPU_MB = 1_769
"""The memory at which a function has one whole CPU. With less memory it has proportionally less CPU."""
CALL_MS = 5
"""The time of one AWS call: the usual single-digit milliseconds of DynamoDB."""
LOG_LINE_KB = 0.8
"""The size of a log line, with its share of START, END and REPORT."""
TRACE_SAMPLING_RATE = 0.05
"""X-Ray's default rule samples one run in twenty."""
MESSAGES_PER_BATCH = 10
"""Messages per invocation from a busy queue. They share the costs of receive and delete."""
MEMORY_MB, MB_PER_GB = 512, 1_024
"""The log lines of all functions that take part in a run."""
EVENTS = (UsageRecorded.TYPE, RunCompleted.TYPE)
"""The events of a waited run."""
DELIVERIES_PER_RUN = sum(
    event in function.subscriptions for service in SERVICES for function in service.functions for event in EVENTS
)
"""The number of deliveries to consumers."""


@dataclass(frozen=True, slots=True)
class Units:
    """The average DynamoDB units of one call of a run."""

    write: float = 0
    read: float = 0


UNITS: Mapping[str, Units] = {
    "GetItem": Units(read=1),
    "BatchGetItem": Units(read=2),
    "Query": Units(read=1),
    "UpdateItem": Units(write=3),
    "PutItem": Units(write=3),
    "DeleteItem": Units(write=2),
    "BatchWriteItem": Units(write=4),
    "TransactWriteItems": Units(write=8),
}
"""Read from the requests of a run: up to 1 KB is one unit, in a transaction two; each index entry adds one."""


@dataclass(frozen=True, slots=True)
class CostLine:
    """One item of the bill."""

    component: str
    unit: str
    """The name in the price list `prices.json`."""
    quantity: float
    """The quantity of one run."""
    nano_usd: int
    """The price of one unit."""

    @property
    def usd_per_million(self) -> float:
        """Return the cost of a million runs in USD."""
        return self.quantity * self.nano_usd * MILLION / NANO


@cache
def prices() -> dict[str, Any]:
    """Read the list prices, with their region and date."""
    return json.loads(Path(__file__).with_name("prices.json").read_text())


def cost_of_run(counted: MeasuredRun) -> list[CostLine]:
    """Return all items of the bill of one run."""
    each = prices()["nano_usd"]
    return [CostLine(component, what, quantity, each[what]) for component, what, quantity in _quantities(counted)]


def total_usd(lines: Sequence[CostLine]) -> float:
    """Return the cost of a million runs."""
    return sum(line.usd_per_million for line in lines)


def _quantities(counted: MeasuredRun) -> Iterator[tuple[str, str, float]]:
    yield "API", "request to API Gateway (REST)", 1
    invocations = _invocations(counted)
    yield "functions", "invocation of Lambda", invocations
    yield "functions", "GB-second of Lambda (arm64)", _gb_seconds(counted)
    yield "tables", "write unit of DynamoDB", _units(counted).write
    yield "tables", "read unit of DynamoDB", _units(counted).read
    yield "bus", "event on EventBridge", len(EVENTS)
    yield "queues", "request to SQS", DELIVERIES_PER_RUN * (1 + 2 / MESSAGES_PER_BATCH)
    yield "logs", "kB of CloudWatch Logs", invocations * LOG_LINE_KB
    yield "traces", "trace of X-Ray", TRACE_SAMPLING_RATE


def _invocations(counted: MeasuredRun) -> float:
    """Count the invocations of the API's function, its workers, the publisher, and the consumers by batch."""
    calls = counted.calls
    return 1 + calls.get("lambda", 0) + calls.get("events PutEvents", 0) + DELIVERIES_PER_RUN / MESSAGES_PER_BATCH


def _gb_seconds(counted: MeasuredRun) -> float:
    """Return GB-seconds. CPU costs the same with any memory; waiting costs in proportion to memory."""
    cpu_ms, memory_gb = counted.cpu_ms, MEMORY_MB / MB_PER_GB
    worker_ms = sum(ms for name, ms in cpu_ms.items() if name.endswith("-worker"))
    waits_ms = sum(counted.calls.values()) * CALL_MS
    # A waited run pays for two functions while its worker executes.
    twice_ms = worker_ms * FULL_CPU_MB / MEMORY_MB + waits_ms / 2
    return (sum(cpu_ms.values()) * FULL_CPU_MB / MB_PER_GB + (waits_ms + twice_ms) * memory_gb) / 1_000


def _units(counted: MeasuredRun) -> Units:
    of_calls = [(UNITS[name.removeprefix("dynamodb ")], n) for name, n in counted.calls.items() if "dynamodb" in name]
    return Units(write=sum(one.write * n for one, n in of_calls), read=sum(one.read * n for one, n in of_calls))
