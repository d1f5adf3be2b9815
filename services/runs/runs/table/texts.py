"""The text of open calls, stored piece by piece.

The pieces of one call's text are a log: each is keyed by its character offset and written only if that key is free. A
cancellation takes the next key, so the worker detects it in the same write that would continue the text. An attempt
writes under its own number, so the text of a worker that has lost its run is never read.
"""

from datetime import datetime, timedelta

from services.runs.errors import CancelRequested
from services.runs.runs.domain.position import TextPosition
from services.runs.runs.domain.run import OpenCall, Run
from services.runs.runs.table.adjacent import AdjacentRows
from shared.storage.items import Item, Key, Reader
from shared.storage.table import setting
from shared.storage.transaction import ABSENT
from shared.times import epoch

_TEXT = "TEXT#"
_TEXT_RETENTION = timedelta(hours=1)
"""A call takes at most 15 minutes; after its end, its text is in the run."""


class TextTable(AdjacentRows):
    """The texts of one tenant's runs."""

    def append(self, run: Run, position: TextPosition, text: str, *, now: datetime) -> TextPosition:
        """Store the next piece; return the position after the stored text.

        Raises:
            CancelRequested: the client has cancelled.
        """
        key = self._key(run, position)
        if self.store.update(key, setting({"text": text, "ttl": epoch(now + _TEXT_RETENTION)}), when=ABSENT):
            return position.after(text)
        stored = Reader(self.store.get(key) or {})
        if stored.flag("cancelled"):
            raise CancelRequested
        # An earlier try was carried out, but its response was lost.
        return position.after(stored.text("text"))

    def check(self, run: Run, position: TextPosition) -> None:
        """Check whether a cancellation is stored at the next position.

        Raises:
            CancelRequested: the client has cancelled.
        """
        if Reader(self.store.get(self._key(run, position)) or {}).flag("cancelled"):
            raise CancelRequested

    def pieces(self, run: Run, position: TextPosition) -> list[str]:
        """Return the pieces from this position on, as far as one query reads."""
        until = _prefix(position) + "~"
        page = self.store.query(self.between(run.run_id, self._key(run, position).sk, until))
        return [str(item["text"]) for item in page.items if "text" in item]

    def cancellation(self, run: Run, call: OpenCall, *, now: datetime) -> Item | None:
        """Return the item that cancels the open call; None if it is stored already."""
        start = TextPosition(run.attempt, call.number)
        of_call = self.between(run.run_id, _prefix(start), _prefix(start) + "~")
        page = self.store.query(of_call, newest_first=True, limit=1)
        last = Reader(page.items[0]) if page.items else None
        if last and last.flag("cancelled"):
            return None
        end = start
        if last:
            written = int(last.text("SK").rpartition("#")[2])
            end = TextPosition(run.attempt, call.number, written).after(last.text("text"))
        return {**self._key(run, end).attributes, "cancelled": True, "ttl": epoch(now + _TEXT_RETENTION)}

    def delete(self, run_id: str) -> int:
        """Delete all pieces of a run's texts and return their number."""
        return self.delete_below(run_id, _TEXT)

    def _key(self, run: Run, position: TextPosition) -> Key:
        return Key(self.run_partition(run.run_id), f"{_prefix(position)}{position.offset:08d}")


def _prefix(position: TextPosition) -> str:
    return f"{_TEXT}{position.attempt:03d}#{position.call:03d}#"
