"""Exports of the ledger for operators: their parameters, status and formats."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.metering.counters.domain.days import Days
from shared.meters import LEDGER_METERS

MAX_EVENTS = 1_000_000
"""The limit of events in one export, which keeps it well within the time limit of a function."""

FILE_VALIDITY = timedelta(hours=1)
"""The time for which the same request returns the same file."""

ATTEMPT_TIMEOUT = timedelta(minutes=16)
"""The time after which an unfinished export is started again. Its function has ended by then."""

Record = Mapping[str, object]
"""A ledger entry, with the attributes of the table and the archive."""


class ExportFormat(StrEnum):
    """The file format of an export."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class ColumnType(StrEnum):
    """The data type of a column."""

    TEXT = "text"
    TIMESTAMP = "moment"
    INTEGER = "integer"
    BOOLEAN = "flag"
    UNPRICED = "unpriced"
    """An amount of the usage whose cost is unknown, so that a sum of costs shows the part that it lacks."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an export."""

    name: str
    """The name in the API."""
    attribute: str
    """The attribute in the ledger."""
    type: ColumnType = ColumnType.TEXT


COLUMNS: tuple[Column, ...] = (
    Column("tenant_id", "tenantId"),
    Column("event_id", "eventId"),
    Column("kind", "kind"),
    Column("occurred_at", "timestamp", ColumnType.TIMESTAMP),
    Column("source", "source"),
    Column("id", "reportedId"),
    Column("run_id", "runId"),
    Column("attempt", "attempt", ColumnType.INTEGER),
    Column("call", "call", ColumnType.INTEGER),
    Column("request_id", "requestId"),
    Column("agent_id", "agentId"),
    Column("version", "agentVersion", ColumnType.INTEGER),
    Column("project_id", "projectId"),
    Column("provider", "provider"),
    Column("model", "model"),
    *(Column(meter.value, meter.value, ColumnType.INTEGER) for meter in LEDGER_METERS),
    Column("cost_nano_usd", "cost_nano_usd", ColumnType.INTEGER),
    Column("unpriced_requests", "requests", ColumnType.UNPRICED),
    Column("unpriced_tokens", "tokens", ColumnType.UNPRICED),
    Column("price_version", "price_version"),
    Column("simulated", "simulated", ColumnType.BOOLEAN),
    Column("usage_estimated", "usageEstimated", ColumnType.BOOLEAN),
    Column("period", "period"),
)

_METERS = frozenset(meter.value for meter in LEDGER_METERS)
_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The parameters of an export."""

    days: Days
    tenant_id: str | None
    """None for all tenants."""
    format: ExportFormat

    @property
    def export_id(self) -> str:
        """The id of the export, derived from its parameters."""
        payload = [str(self.days.start), str(self.days.end), self.tenant_id, self.format]
        return hashlib.sha256(json.dumps(payload).encode()).hexdigest()[:32]

    @property
    def file_name(self) -> str:
        """The name of the downloaded file."""
        return f"usage-{self.days.start}-{self.days.end}.{self.format}"


class ExportStatus(StrEnum):
    """The progress of an export."""

    RUNNING = "running"
    COMPLETED = "completed"
    TOO_LARGE = "too_large"
    """The range contains more events than one export may have."""
    FAILED = "failed"
    """The export was interrupted. The next request starts it again."""


@dataclass(frozen=True, slots=True)
class LedgerExport:
    """The last known state of an export."""

    request: ExportRequest
    attempt: int
    status: ExportStatus
    exported_at: datetime
    """The start time of the export. The export contains the usage counted before this time."""
    events: int = 0
    bytes: int = 0

    @property
    def path(self) -> str:
        """The path in the bucket, different for each attempt."""
        return f"usage/exports/{self.request.export_id}/{self.attempt}/{self.request.file_name}"


def row_of(record: Record) -> dict[str, object]:
    """Return the values of an entry by column. Unused meters are 0, and unknown values are None."""
    return {column.name: _value(record, column) for column in COLUMNS}


def _value(record: Record, column: Column) -> object:
    if column.type is ColumnType.UNPRICED:
        return _unpriced(record, column.attribute)
    if column.attribute in _METERS:
        return record.get(column.attribute, 0)
    return bool(record.get(column.attribute)) if column.type is ColumnType.BOOLEAN else record.get(column.attribute)


def _unpriced(record: Record, attribute: str) -> int:
    if record.get("cost_nano_usd") is not None:
        return 0
    names = ("tokens_in", "tokens_out") if attribute == "tokens" else (attribute,)
    return sum(int(str(record.get(name) or 0)) for name in names)


def json_lines(records: Iterable[Record]) -> Iterator[bytes]:
    """Return a line with a JSON object for each entry."""
    for record in records:
        yield json.dumps(row_of(record), separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def csv_lines(records: Iterable[Record]) -> Iterator[bytes]:
    """Return a header line and a line for each entry (RFC 4180). Unknown values are empty."""
    yield _csv_line([column.name for column in COLUMNS])
    for record in records:
        yield _csv_line([_cell(value) for value in row_of(record).values()])


def _cell(value: object) -> object:
    """Return the value of a cell; a leading quote keeps spreadsheets from running a tenant's text as a formula."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_PREFIXES) else value


def _csv_line(cells: list[object] | list[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()
