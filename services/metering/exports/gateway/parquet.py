"""Parquet files, which DuckDB writes from JSON lines on the function's own disk."""

import gzip
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from services.metering.exports.domain import COLUMNS, ColumnType

_TYPES = {
    ColumnType.TEXT: "VARCHAR",
    ColumnType.TIMESTAMP: "TIMESTAMPTZ",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.UNPRICED: "BIGINT",
    ColumnType.BOOLEAN: "BOOLEAN",
}
_PIECE_BYTES = 1024 * 1024


def parquet_of(json_lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the Parquet file of these lines in pieces. A million lines take about 100 MB of temporary disk space."""
    with tempfile.TemporaryDirectory() as folder:
        lines, target = Path(folder, "lines.json.gz"), Path(folder, "made.parquet")
        with gzip.open(lines, "wb", compresslevel=1) as file:
            file.writelines(json_lines)
        _convert(lines, target)
        with target.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece


def _convert(lines: Path, target: Path) -> None:
    import duckdb

    columns = ", ".join(f"'{column.name}': '{_TYPES[column.type]}'" for column in COLUMNS)
    read = f"read_json('{lines}', format = 'newline_delimited', columns = {{{columns}}})"
    with duckdb.connect(
        config={"threads": 1, "memory_limit": "512MB", "temp_directory": str(lines.parent)}
    ) as database:
        database.execute(f"COPY (FROM {read}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
