"""Exports of the ledger for operators: what can be asked for, and how an entry is written down."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.metering.domain.periods import Days
from shared.meters import Meter

MOST_EVENTS = 1_000_000
"""In one export, so that it is written well within the time of a function."""

GOOD_FOR = timedelta(hours=1)
"""How long the same question is answered by the same export."""

GIVEN_UP_AFTER = timedelta(minutes=16)
"""When an export that is not written is begun anew: its function has ended by then."""

Record = Mapping[str, object]
"""An entry of the ledger, as it lies there and in the archive."""


class ExportFormat(StrEnum):
    """How an export is written."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    MOMENT = "moment"
    INTEGER = "integer"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an export."""

    name: str
    """As the API calls it."""
    attribute: str
    """As the ledger calls it."""
    kind: Kind = Kind.TEXT


COLUMNS: tuple[Column, ...] = (
    Column("tenant_id", "tenantId"),
    Column("event_id", "eventId"),
    Column("kind", "kind"),
    Column("occurred_at", "timestamp", Kind.MOMENT),
    Column("source", "source"),
    Column("id", "reportedId"),
    Column("run_id", "runId"),
    Column("attempt", "attempt", Kind.INTEGER),
    Column("call", "call", Kind.INTEGER),
    Column("request_id", "requestId"),
    Column("agent_id", "agentId"),
    Column("version", "agentVersion", Kind.INTEGER),
    Column("project_id", "projectId"),
    Column("provider", "provider"),
    Column("model", "model"),
    *(Column(meter.value, meter.value, Kind.INTEGER) for meter in Meter),
    Column("cost_nano_usd", "cost_nano_usd", Kind.INTEGER),
    Column("price_version", "price_version"),
    Column("simulated", "simulated", Kind.FLAG),
    Column("period", "period"),
)

_METERS = frozenset(meter.value for meter in Meter)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be exported."""

    days: Days
    tenant_id: str | None
    """None: of all tenants."""
    format: ExportFormat

    @property
    def export_id(self) -> str:
        """The same for the same question."""
        said = [str(self.days.start), str(self.days.end), self.tenant_id, self.format]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]

    @property
    def file_name(self) -> str:
        """What the file is called by those who download it."""
        return f"usage-{self.days.start}-{self.days.end}.{self.format}"


class ExportStatus(StrEnum):
    """How far an export is."""

    RUNNING = "running"
    COMPLETED = "completed"
    TOO_LARGE = "too_large"
    """There are more events than one export takes."""
    FAILED = "failed"
    """It broke off, and is begun anew when it is asked for."""


@dataclass(frozen=True, slots=True)
class Export:
    """One export, as it is known."""

    asked: Asked
    attempt: int
    status: ExportStatus
    exported_at: datetime
    """When it was begun: what was counted by then is in it."""
    events: int = 0
    bytes: int = 0

    @property
    def path(self) -> str:
        """Where it lies: each attempt in a place of its own."""
        return f"usage/exports/{self.asked.export_id}/{self.attempt}/{self.asked.file_name}"


def row_of(record: Record) -> dict[str, object]:
    """An entry by columns; a meter that was not used is 0, what is not known is None."""
    return {column.name: _value(record, column) for column in COLUMNS}


def _value(record: Record, column: Column) -> object:
    if column.attribute in _METERS:
        return record.get(column.attribute, 0)
    return bool(record.get(column.attribute)) if column.kind is Kind.FLAG else record.get(column.attribute)


def json_lines(records: Iterable[Record]) -> Iterator[bytes]:
    """A JSON object for each entry."""
    for record in records:
        yield json.dumps(row_of(record), separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def csv_lines(records: Iterable[Record]) -> Iterator[bytes]:
    """A head, and a line for each entry (RFC 4180); what is not known is empty."""
    yield _csv_line([column.name for column in COLUMNS])
    for record in records:
        yield _csv_line([_cell(value) for value in row_of(record).values()])


def _cell(value: object) -> object:
    """What tenants have named themselves must not be a formula to those who open it in a spreadsheet."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _csv_line(cells: list[object] | list[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()
