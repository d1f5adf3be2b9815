"""`python -m bench.upkeep`: the closer with due hours of many tenants, and with one hour of very many rows."""

import argparse
import hashlib
import json
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import machine
from bench.metered import MeteredDynamoDB
from infra.local.paths import ROOT
from services.metering.counters.domain.amounts import Amounts, Dimensions
from services.metering.counters.domain.counter import HourCounter
from services.metering.counters.domain.hours import GRACE_PERIOD, HOUR, Revision
from services.metering.counters.table.attributes import DIMENSIONS
from services.metering.counters.table.revisions import OpenRevisionTable
from services.metering.counters.table.rows import HourTable
from services.metering.hours.operations import maintenance as upkeep
from services.metering.hours.operations.maintenance import DueKind as Due
from services.metering.ingestion import operations as ingestion
from services.metering.ledger.domain.entries import LedgerEntry, Origin, UsageKind, unpriced_entry
from services.metering.partitions import SLICE
from services.metering.storage.domain import SAMPLING_DELAY, StorageChange
from shared.meters import Meter
from shared.observability import logger
from shared.storage.inbox import Delivery
from shared.storage.store import Store
from shared.storage.table import adding
from shared.times import to_text, utc_now

CALL_S = 0.005
"""The time of a request to DynamoDB, as in the model of costs."""
CONCURRENCY = 16
"""Of the closer."""
TENANTS_TO_HOLD = 100_000

_RESULTS = ROOT / "bench" / "results" / "upkeep.json"
_HOUR = datetime(2026, 11, 22, 10, tzinfo=UTC)
_CLOSES = _HOUR + HOUR + GRACE_PERIOD
_NAME_CHARS = 60


class WaitingDynamoDB(MeteredDynamoDB):
    """A table in memory of which every request takes as long as one to DynamoDB."""

    def __init__(self) -> None:
        super().__init__()
        self.call_s = 0.0

    def _wait(self) -> None:
        if self.call_s:
            time.sleep(self.call_s)

    def get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """GetItem."""
        self._wait()
        return super().get_item(**arguments)

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """BatchGetItem."""
        self._wait()
        return super().batch_get_item(**arguments)

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Query."""
        self._wait()
        return super().query(**arguments)

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """UpdateItem."""
        self._wait()
        return super().update_item(**arguments)

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """TransactWriteItems."""
        self._wait()
        return super().transact_write_items(**arguments)


@dataclass(slots=True)
class Measured:
    """The cost of a piece of work in this process, the table's own included."""

    wall_s: float = 0
    cpu_s: float = 0
    calls: int = 0
    write_units: int = 0
    memory_before_mb: float = 0
    memory_peak_mb: float = 0
    more: dict[str, Any] = field(default_factory=dict[str, Any])

    def to_json(self, *, entries: int) -> dict[str, Any]:
        """Return the numbers as they are stored."""
        return {
            "entries": entries,
            "wall_s": round(self.wall_s, 1),
            "cpu_ms_per_entry": round(self.cpu_s * 1_000 / entries, 2),
            "dynamodb_calls_per_entry": round(self.calls / entries, 1),
            "write_units_per_entry": round(self.write_units / entries, 1),
            "memory_peak_above_start_mb": round(self.memory_peak_mb - self.memory_before_mb, 1),
            **self.more,
        }


def main() -> None:
    """Measure, print and store the results."""
    options = argparse.ArgumentParser(prog="python -m bench.upkeep")
    options.add_argument("--tenants", type=int, default=5_000, help="with a due hour each")
    options.add_argument("--rows", type=int, default=250_000, help="by dimensions, of one hour of one tenant")
    parsed = options.parse_args()
    logger.setLevel("CRITICAL")
    measured = {
        "hours_of_many_tenants": many_tenants(parsed.tenants),
        "storage_of_many_tenants": much_storage(parsed.tenants),
        "one_hour_with_many_rows": many_rows(parsed.rows),
    }
    store_results(_RESULTS, {"request_ms": CALL_S * 1_000, "concurrency": CONCURRENCY, **measured})


def store_results(path: Path, measured: Mapping[str, Any]) -> None:
    """Print and store measurements and their conditions, with the time and the facts of the machine."""
    conditions = {"at": to_text(utc_now()), "machine": machine.facts()}
    text = json.dumps({**conditions, **measured}, indent=2)
    path.write_text(f"{text}\n")
    print(text)


def many_tenants(number: int) -> dict[str, Any]:
    """Close one hour of each tenant, with three events of two models."""
    table, store = _table()
    for tenant in range(number):
        entries = [_entry(f"event-{one}", model=f"model-{one % 2}") for one in range(3)]
        ingestion.count_of_tenant(store, f"tenant-{tenant}", entries, now=_HOUR)
    upkeep.sweep_due(store, now=_CLOSES, kinds=(Due.SUMMARY,))
    return _swept(table, store, Due.HOUR, number, now=_CLOSES)


def much_storage(number: int) -> dict[str, Any]:
    """Sample one hour of the storage of each tenant."""
    table, store = _table()
    for tenant in range(number):
        changes = {Delivery("bench", "stored", _HOUR): StorageChange("stored", _HOUR, 10**6)}
        ingestion.change_storage(store, f"tenant-{tenant}", changes, now=_HOUR)
    return _swept(table, store, Due.STORAGE, number, now=_HOUR + HOUR + SAMPLING_DELAY)


def _swept(table: WaitingDynamoDB, store: Store, kind: Due, number: int, *, now: datetime) -> dict[str, Any]:
    with measuring(table) as measured:
        done, _ = upkeep.sweep_due(store, now=now, kinds=(kind,), concurrency=CONCURRENCY)
    a_second = done[kind] / measured.wall_s
    measured.more = {
        "done": done[kind],
        "entries_per_second": round(a_second, 1),
        f"minutes_for_{TENANTS_TO_HOLD}_tenants": round(TENANTS_TO_HOLD / a_second / 60, 1),
    }
    return measured.to_json(entries=number)


def many_rows(number: int) -> dict[str, Any]:
    """Close an hour with rows from before their number was bounded, beside the hours of ten other tenants."""
    table, store = _table()
    for tenant in range(10):
        ingestion.count_of_tenant(store, f"tenant-{tenant}", [_entry("event")], now=_HOUR)
    _write_rows(table, store, number)
    with measuring(table) as measured:
        first, sweeps = 0, 0
        while any(OpenRevisionTable(store, "attacker").all()):
            done, _ = upkeep.sweep_due(store, now=_CLOSES, kinds=(Due.HOUR,), concurrency=CONCURRENCY)
            first, sweeps = first or done[Due.HOUR], sweeps + 1
    measured.more = {"sweeps": sweeps, "hours_of_others_closed_in_the_first_sweep": first, "calls": measured.calls}
    return measured.to_json(entries=number)


def _write_rows(table: WaitingDynamoDB, store: Store, number: int) -> None:
    revision, hours = Revision(_HOUR), HourTable(store, "attacker")
    OpenRevisionTable(store, "attacker").open(revision, now=_HOUR)
    one = Amounts(1, 1, meters={Meter.TOKENS_IN: 1})
    for row in range(number):
        name = hashlib.sha256(str(row).encode()).hexdigest()[:_NAME_CHARS]
        shard = row % len(revision.shards)
        for counter in (HourCounter(revision, shard, Dimensions(name, name, name, name)), HourCounter(revision, shard)):
            fixed = DIMENSIONS.encode(counter.dimensions) if counter.dimensions else {}
            change = adding(one.numbers, fixed)
            table.update_item(Key=hours.key(counter).wire, **change.arguments("UpdateExpression"))


def _table() -> tuple[WaitingDynamoDB, Store]:
    table = WaitingDynamoDB()
    return table, Store(table, table="usage", owned=SLICE)


def _entry(event_id: str, *, model: str = "model-0") -> LedgerEntry:
    meters: Mapping[Meter, int] = {Meter.REQUESTS: 1, Meter.TOKENS_IN: 10, Meter.TOKENS_OUT: 5}
    dimensions = Dimensions("agt_0", model, "openai")
    return unpriced_entry(event_id, at=_HOUR, origin=Origin(UsageKind.CALL), dimensions=dimensions, meters=meters)


@contextmanager
def measuring(table: WaitingDynamoDB) -> Generator[Measured]:
    """Measure the work of a block, each of whose requests takes `CALL_S`."""
    measured = Measured(memory_before_mb=_memory_mb("VmRSS"))
    calls, write_units = table.calls, table.write_units
    # The peak is counted from here on. https://docs.kernel.org/filesystems/proc.html
    Path("/proc/self/clear_refs").write_text("5")
    table.call_s = CALL_S
    wall, cpu = _clocks()
    yield measured
    table.call_s = 0.0
    now_wall, now_cpu = _clocks()
    measured.wall_s, measured.cpu_s = now_wall - wall, now_cpu - cpu
    measured.calls, measured.write_units = table.calls - calls, table.write_units - write_units
    measured.memory_peak_mb = _memory_mb("VmHWM")


def _clocks() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def _memory_mb(name: str) -> float:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
