"""Parquet, written by DuckDB from JSON lines on the function's own disk."""

import gzip
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from services.metering.domain.export import COLUMNS, Kind

_TYPES = {Kind.TEXT: "VARCHAR", Kind.MOMENT: "TIMESTAMPTZ", Kind.INTEGER: "BIGINT", Kind.FLAG: "BOOLEAN"}
_PIECE_BYTES = 1024 * 1024


def parquet_of(json_lines: Iterable[bytes]) -> Iterator[bytes]:
    """The Parquet file of these lines, in pieces; a million of them take some 100 MB of disk meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        lines, made = Path(folder, "lines.json.gz"), Path(folder, "made.parquet")
        with gzip.open(lines, "wb", compresslevel=1) as file:
            file.writelines(json_lines)
        _convert(lines, made)
        with made.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece


def _convert(lines: Path, made: Path) -> None:
    import duckdb

    columns = ", ".join(f"'{column.name}': '{_TYPES[column.kind]}'" for column in COLUMNS)
    read = f"read_json('{lines}', format = 'newline_delimited', columns = {{{columns}}})"
    with duckdb.connect(
        config={"threads": 1, "memory_limit": "512MB", "temp_directory": str(lines.parent)}
    ) as database:
        database.execute(f"COPY (FROM {read}) TO '{made}' (FORMAT parquet, COMPRESSION zstd)")
