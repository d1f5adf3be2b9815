"""The cost model: what one run uses of each thing that AWS bills, and what a million of them cost.

Quantities are of one run and may be parts of one: batches are shared. Prices are whole nano-USD.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from infra.costs.counted import Counted
from infra.services import SERVICES
from shared.events.runs import RunCompleted, UsageRecorded

MILLION = 1_000_000
NANO = 1_000_000_000
BUDGET_USD = 40
"""What a million runs may cost, without the wait for the model."""

FULL_CPU_MB = 1_769
"""With this much memory a function has one CPU; with less it has as much less of one."""
CALL_MS = 5
"""That a function waits for one AWS call: the usual single-digit milliseconds of DynamoDB."""
LOG_LINE_KB = 0.8
"""A line of ours with its share of START, END and REPORT."""
TRACED = 0.05
"""X-Ray's default rule takes one run in twenty."""
BATCH = 10
"""Messages that one invocation takes from a queue that is busy; receiving and deleting are shared by them."""
MEMORY_MB, MB_OF_A_GB = 512, 1_024
"""Of every function on the way of a run."""
EVENTS = (UsageRecorded.TYPE, RunCompleted.TYPE)
"""What a waited run says."""
DELIVERIES = sum(
    event in function.subscriptions for service in SERVICES for function in service.functions for event in EVENTS
)
"""How many consumers that wakes."""


@dataclass(frozen=True, slots=True)
class Units:
    """What one call costs in units of DynamoDB, on the average of the calls of a run."""

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
"""Read off the requests of a run: up to 1 KB is one unit, in a transaction two; each entry of an index is one more."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is billed."""

    component: str
    what: str
    """As the price list of `prices.json` names it."""
    quantity: float
    """Of one run."""
    nano_usd: int
    """For each."""

    @property
    def usd_per_million(self) -> float:
        """What it costs in a million runs, in USD."""
        return self.quantity * self.nano_usd * MILLION / NANO


@cache
def prices() -> dict[str, Any]:
    """The list prices, with their region and date."""
    return json.loads(Path(__file__).with_name("prices.json").read_text())


def cost_of_run(counted: Counted) -> list[Line]:
    """Every line of the bill for one run."""
    each = prices()["nano_usd"]
    return [Line(component, what, quantity, each[what]) for component, what, quantity in _uses(counted)]


def total_usd(lines: Sequence[Line]) -> float:
    """For a million runs."""
    return sum(line.usd_per_million for line in lines)


def _uses(counted: Counted) -> Iterator[tuple[str, str, float]]:
    yield "API", "request to API Gateway (REST)", 1
    invocations = _invocations(counted)
    yield "functions", "invocation of Lambda", invocations
    yield "functions", "GB-second of Lambda (arm64)", _gb_seconds(counted)
    yield "tables", "write unit of DynamoDB", _units(counted).write
    yield "tables", "read unit of DynamoDB", _units(counted).read
    yield "bus", "event on EventBridge", len(EVENTS)
    yield "queues", "request to SQS", DELIVERIES * (1 + 2 / BATCH)
    yield "logs", "kB of CloudWatch Logs", invocations * LOG_LINE_KB
    yield "traces", "trace of X-Ray", TRACED


def _invocations(counted: Counted) -> float:
    """Of the API's function, of those that it invokes, of the publisher, and of the consumers by their batches."""
    calls = counted.calls
    return 1 + calls.get("lambda", 0) + calls.get("events PutEvents", 0) + DELIVERIES / BATCH


def _gb_seconds(counted: Counted) -> float:
    """CPU costs the same with any memory: half of it is half as fast. Waiting costs what the memory costs."""
    cpu_ms, memory_gb = counted.cpu_ms, MEMORY_MB / MB_OF_A_GB
    worker_ms = sum(ms for name, ms in cpu_ms.items() if name.endswith("-worker"))
    waits_ms = sum(counted.calls.values()) * CALL_MS
    # Who waits for a run pays for two functions while its worker works.
    twice_ms = worker_ms * FULL_CPU_MB / MEMORY_MB + waits_ms / 2
    return (sum(cpu_ms.values()) * FULL_CPU_MB / MB_OF_A_GB + (waits_ms + twice_ms) * memory_gb) / 1_000


def _units(counted: Counted) -> Units:
    of_calls = [(UNITS[name.removeprefix("dynamodb ")], n) for name, n in counted.calls.items() if "dynamodb" in name]
    return Units(write=sum(one.write * n for one, n in of_calls), read=sum(one.read * n for one, n in of_calls))
