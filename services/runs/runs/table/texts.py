"""The text of open calls, stored piece by piece.

The pieces of one call's text are a log: each is keyed by its character offset and written only if that key is free. A
cancellation takes the next key, so the worker detects it in the same write that would continue the text. An attempt
writes under its own number, so the text of a worker that has lost its run is never read.
"""

from datetime import datetime, timedelta

from services.runs.errors import CancelRequested
from services.runs.runs.domain.position import TextPosition
from services.runs.runs.domain.run import OpenCall, Run
from services.runs.runs.table.adjacent import adjacent, delete_adjacent
from services.runs.runs.table.items import run_key
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, Expression
from shared.times import epoch

_TEXT_RETENTION = timedelta(hours=1)
"""A call takes at most 15 minutes; after its end, its text is in the run."""


class TextTable:
    """The texts of one slice."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def append(self, run: Run, position: TextPosition, text: str, *, now: datetime) -> TextPosition:
        """Store the next piece; return the position after the stored text.

        Raises:
            CancelRequested: the client has cancelled.
        """
        key = _key(run, position)
        piece = Expression("SET #text = :text, #ttl = :ttl", {"text": text, "ttl": epoch(now + _TEXT_RETENTION)})
        if self._store.update(key, piece, when=ABSENT):
            return position.after(text)
        stored = Reader(self._store.get(key) or {})
        if stored.flag("cancelled"):
            raise CancelRequested
        # An earlier try was carried out, but its response was lost.
        return position.after(stored.text("text"))

    def check(self, run: Run, position: TextPosition) -> None:
        """Check whether a cancellation is stored at the next position.

        Raises:
            CancelRequested: the client has cancelled.
        """
        if Reader(self._store.get(_key(run, position)) or {}).flag("cancelled"):
            raise CancelRequested

    def pieces(self, run: Run, position: TextPosition) -> list[str]:
        """Return the pieces from this position on, as far as one query reads."""
        until = _prefix(position) + "~"
        page = self._store.query(adjacent(run.tenant_id, run.run_id, _key(run, position).sk, until))
        return [str(item["text"]) for item in page.items if "text" in item]

    def cancellation(self, run: Run, call: OpenCall, *, now: datetime) -> Item | None:
        """Return the item that cancels the open call; None if it is stored already."""
        start = TextPosition(run.attempt, call.number)
        page = self._store.query(
            adjacent(run.tenant_id, run.run_id, _prefix(start), _prefix(start) + "~"), newest_first=True, limit=1
        )
        last = Reader(page.items[0]) if page.items else None
        if last and last.flag("cancelled"):
            return None
        end = start
        if last:
            written = int(last.text("SK").rpartition("#")[2])
            end = TextPosition(run.attempt, call.number, written).after(last.text("text"))
        item: dict[str, Value] = {**_key(run, end).attributes, "cancelled": True, "ttl": epoch(now + _TEXT_RETENTION)}
        return item

    def delete(self, tenant_id: str, run_id: str) -> int:
        """Delete all pieces of a run's texts and return their number."""
        return delete_adjacent(self._store, tenant_id, run_id, prefix=_TEXT)


_TEXT = "TEXT#"


def _prefix(position: TextPosition) -> str:
    return f"{_TEXT}{position.attempt:03d}#{position.call:03d}#"


def _run_key(run: Run) -> Key:
    return run_key(run.tenant_id, run.run_id)


def _key(run: Run, position: TextPosition) -> Key:
    return Key(_run_key(run).pk, f"{_prefix(position)}{position.offset:08d}")
