"""The formats of uploads: each line, or row, becomes an item or an error."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from services.runs.datasets.domain.dataset import (
    MAX_BYTES,
    MAX_ERRORS,
    MAX_ITEMS,
    FieldMapping,
    LineError,
    UploadFormat,
)
from services.runs.datasets.domain.items import ID_PATTERN, MAX_ITEM_BYTES, Item, ItemIds
from shared import freejson
from shared.freejson import NotAcceptable

CheckInputs = Callable[[object], Mapping[str, Any]]
"""Returns the inputs of a run, or raises ValueError with the reason why a run would not accept them."""
Record = tuple[int, Mapping[str, Any]]
"""The number of a line, and the item that it describes: `input` or `inputs`, `expected`, `metadata`, `item_id`."""
_FIELDS = frozenset({"input", "inputs", "expected", "metadata", "item_id"})
_METADATA = "metadata."
_TOO_LONG = f"The line is longer than {MAX_ITEM_BYTES} bytes."


class BadLine(ValueError):
    """A line is not an item; the message names the reason."""


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    """Yield the lines of a file without their ends; None for a line that is too long, of which nothing is kept."""
    kept, is_long = bytearray(), False
    for chunk in chunks:
        *complete, rest = chunk.split(b"\n")
        for part in complete:
            yield None if is_long or len(kept) + len(part) > MAX_ITEM_BYTES else bytes(kept + part)
            kept.clear()
            is_long = False
        is_long = is_long or len(kept) + len(rest) > MAX_ITEM_BYTES
        kept = bytearray() if is_long else kept + rest
    if kept or is_long:
        yield None if is_long else bytes(kept)


class UploadReader:
    """The items of one upload, in one pass and with bounded memory.

    Args:
        upload_format: the format.
        mapping: the names of the fields.
        check_inputs: checks the inputs of each item.
    """

    def __init__(self, upload_format: UploadFormat, mapping: FieldMapping, check_inputs: CheckInputs) -> None:
        self._format = upload_format
        self._mapping = mapping
        self._check_inputs = check_inputs
        self._ids = ItemIds()
        self.errors = list[LineError]()
        self.items = 0
        self.bytes = 0

    def read(self, chunks: Iterable[bytes]) -> Iterator[Item]:
        """Yield the valid items, and collect the errors. Reading ends with the last error that is reported."""
        lines = lines_of(chunks)
        records = self._csv_records(lines) if self._format is UploadFormat.CSV else self._json_records(lines)
        for number, record in records:
            try:
                item = self._item(record)
                self._count(item)
            except BadLine as error:
                self._add_error(number, str(error))
            else:
                yield item
            if len(self.errors) >= MAX_ERRORS:
                return
        if not self.items and not self.errors:
            self._add_error(0, "The file has no items.")

    def _add_error(self, line: int, message: str) -> None:
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(LineError(line, message[:500]))

    def _count(self, item: Item) -> None:
        self.items += 1
        self.bytes += len(item.to_line()) + 1
        if self.items > MAX_ITEMS:
            msg = f"A version can have at most {MAX_ITEMS} items."
            raise BadLine(msg)
        if self.bytes > MAX_BYTES:
            msg = f"The items of a version can have at most {MAX_BYTES} bytes as JSON."
            raise BadLine(msg)

    def _json_records(self, lines: Iterator[bytes | None]) -> Iterator[Record]:
        for number, line in enumerate(lines, start=1):
            if line is not None and not line.strip():
                continue
            try:
                record = self._json_record(line)
            except BadLine as error:
                self._add_error(number, str(error))
                if len(self.errors) >= MAX_ERRORS:
                    return
            else:
                yield number, record

    def _json_record(self, line: bytes | None) -> Mapping[str, Any]:
        content = _json_object(line)
        return content if self._format is UploadFormat.JSONL else _evals_record(content, self._mapping)

    def _csv_records(self, lines: Iterator[bytes | None]) -> Iterator[Record]:
        rows = csv.reader(map(_csv_line, lines), strict=True)
        names: list[str] | None = None
        while True:
            start = rows.line_num + 1
            try:
                row = next(rows, None)
                if row is None:
                    return
                if names is None:
                    names = _header(row)
                elif row:
                    yield start, _csv_record(names, row)
            except (csv.Error, BadLine) as error:
                self._add_error(start, _csv_message(error))
                if names is None or len(self.errors) >= MAX_ERRORS:
                    return

    def _item(self, record: Mapping[str, Any]) -> Item:
        if unknown := sorted(record.keys() - _FIELDS):
            msg = f"{unknown[0][:100]} is not a known field."
            raise BadLine(msg)
        inputs = self._inputs(record)
        metadata: object = record.get("metadata") or {}
        if not isinstance(metadata, dict):
            msg = "metadata must be an object."
            raise BadLine(msg)
        item_id = record.get("item_id")
        if item_id is not None:
            self._use(item_id)
        chosen = cast("str", item_id) if item_id is not None else self._ids.derive(inputs)
        return Item(chosen, inputs, record.get("expected"), cast("dict[str, Any]", metadata))

    def _use(self, item_id: object) -> None:
        if not isinstance(item_id, str) or not re.fullmatch(ID_PATTERN, item_id):
            msg = f"item_id must match the pattern {ID_PATTERN}."
            raise BadLine(msg)
        if not self._ids.add(item_id):
            msg = f"The item_id {item_id} is used by an earlier line."
            raise BadLine(msg)

    def _inputs(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        if ("inputs" in record) == ("input" in record):
            msg = "Give either input or inputs."
            raise BadLine(msg)
        try:
            return self._check_inputs(record["inputs"] if "inputs" in record else inputs_of(record["input"]))
        except ValueError as error:
            msg = f"The inputs are not those of a run: {error}"
            raise BadLine(msg) from error


def inputs_of(content: object) -> object:
    """Return the inputs of a run for a message or a list of messages."""
    is_conversation = isinstance(content, list)
    return {"messages" if is_conversation else "message": content}


def _json_object(line: bytes | None) -> Mapping[str, Any]:
    if line is None:
        raise BadLine(_TOO_LONG)
    try:
        content = freejson.loads(line.decode())
    except UnicodeDecodeError as error:
        msg = "The line is not UTF-8."
        raise BadLine(msg) from error
    except NotAcceptable as error:
        msg = f"The line {error}."
        raise BadLine(msg) from error
    if not isinstance(content, dict):
        msg = "The line must be a JSON object."
        raise BadLine(msg)
    return cast("dict[str, Any]", content)


def _evals_record(content: Mapping[str, Any], mapping: FieldMapping) -> Mapping[str, Any]:
    """Return the record of a line of OpenAI Evals: `{"item": {…}}`, or `{"input": …, "ideal": …}` of older ones.

    https://platform.openai.com/docs/guides/evals and https://github.com/openai/evals/blob/main/docs/build-eval.md
    """
    is_wrapped = isinstance(content.get("item"), dict)
    fields = cast("Mapping[str, Any]", content["item"]) if is_wrapped else content
    name = mapping.input or "input"
    if name not in fields:
        msg = f"The field {name} is missing. Name the field of the input in mapping."
        raise BadLine(msg)
    record: dict[str, Any] = {"input": fields[name]}
    expected = mapping.expected or ("ideal" if "ideal" in fields else "expected")
    if expected in fields:
        record["expected"] = fields[expected]
    if mapping.item_id and mapping.item_id in fields:
        record["item_id"] = str(fields[mapping.item_id])
    record["metadata"] = {key: fields[key] for key in mapping.metadata if key in fields}
    return record


def _csv_line(line: bytes | None) -> str:
    if line is None:
        raise BadLine(_TOO_LONG)
    try:
        # The line break belongs to the row: a quoted field may contain it.
        return line.decode("utf-8-sig" if line.startswith(b"\xef\xbb\xbf") else "utf-8") + "\n"
    except UnicodeDecodeError as error:
        msg = "The line is not UTF-8."
        raise BadLine(msg) from error


def _header(names: list[str]) -> list[str]:
    stripped = [name.strip() for name in names]
    unknown = [name for name in stripped if name not in {"input", "expected", "item_id"} and not _is_metadata(name)]
    if "input" not in stripped or unknown or len(set(stripped)) < len(stripped):
        msg = "The first row must name the columns: input, and optionally expected, item_id and metadata.<name>."
        raise BadLine(msg)
    return stripped


def _is_metadata(name: str) -> bool:
    return len(name) > len(_METADATA) and name.startswith(_METADATA)


def _csv_record(names: list[str], row: list[str]) -> Mapping[str, Any]:
    if len(row) != len(names):
        msg = f"The row has {len(row)} fields, and the header {len(names)}."
        raise BadLine(msg)
    cells = dict(zip(names, row, strict=True))
    for text in row:
        _check_text(text)
    record: dict[str, Any] = {"input": cells["input"]}
    if "expected" in cells:
        record["expected"] = cells["expected"]
    if cells.get("item_id"):
        record["item_id"] = cells["item_id"]
    record["metadata"] = {
        name.removeprefix(_METADATA): text for name, text in cells.items() if _is_metadata(name) and text
    }
    return record


def _check_text(text: str) -> None:
    try:
        freejson.check_text(text)
    except NotAcceptable as error:
        msg = f"A field {error}."
        raise BadLine(msg) from error


def _csv_message(error: Exception) -> str:
    return str(error) if isinstance(error, BadLine) else f"The row is not CSV: {error}."
