"""The text of answers that are being written, piece by piece.

The pieces of one call's text are a log: each is keyed by the characters before it, and takes that place only if it is
free. Who cancels a run takes the next place, so the worker hears of it by the one write with which it would go on. An
attempt writes under its own number; what a worker writes that has lost its run, nobody reads.
"""

from datetime import datetime, timedelta

from services.runs.domain.run import OpenCall, Run
from services.runs.domain.story import Place
from services.runs.errors import CancelRequested
from services.runs.table.items import run_key
from shared.storage.items import Item, Key, Reader, Value, key_of
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, MAX_ACTIONS, Expression, Transaction
from shared.times import epoch

_KEPT = timedelta(hours=1)
"""A call takes 15 minutes at most; when it has ended, its text is in the run."""


class TextTable:
    """The texts of one slice."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def append(self, run: Run, place: Place, text: str, *, now: datetime) -> Place:
        """Write the next piece; gives the place behind what is written.

        Raises:
            CancelRequested: the client does not want the rest.
        """
        key = _key(run, place)
        piece = Expression("SET #text = :text, #ttl = :ttl", {"text": text, "ttl": epoch(now + _KEPT)})
        if self._store.update(key, piece, when=ABSENT):
            return place.after(text)
        there = Reader(self._store.get(key) or {})
        if there.flag("cancelled"):
            raise CancelRequested
        # An earlier try was carried out, though its answer was lost.
        return place.after(there.text("text"))

    def check(self, run: Run, place: Place) -> None:
        """Learn of a cancellation where the next piece would be.

        Raises:
            CancelRequested: the client does not want the rest.
        """
        if Reader(self._store.get(_key(run, place)) or {}).flag("cancelled"):
            raise CancelRequested

    def pieces(self, run: Run, place: Place) -> list[str]:
        """What is written from this place on, as far as one query reads."""
        until = _prefix(place) + "~"
        page = self._store.query(_between(_run_key(run), _key(run, place).sk, until))
        return [str(item["text"]) for item in page.items if "text" in item]

    def cancellation(self, run: Run, call: OpenCall, *, now: datetime) -> Item | None:
        """The item that tells the worker of this call not to go on; None when it is there already."""
        start = Place(run.attempt, call.number)
        page = self._store.query(
            _between(_run_key(run), _prefix(start), _prefix(start) + "~"), newest_first=True, limit=1
        )
        last = Reader(page.items[0]) if page.items else None
        if last and last.flag("cancelled"):
            return None
        end = start
        if last:
            written = int(last.text("SK").rpartition("#")[2])
            end = Place(run.attempt, call.number, written).after(last.text("text"))
        item: dict[str, Value] = {**_key(run, end).attributes, "cancelled": True, "ttl": epoch(now + _KEPT)}
        return item

    def delete(self, tenant_id: str, run_id: str) -> int:
        """Remove all that is there of a run; says how many pieces."""
        condition = _between(run_key(tenant_id, run_id), _TEXT, _TEXT + "~")
        keys = [key_of(item) for item in self._store.query_all(condition)]
        for start in range(0, len(keys), MAX_ACTIONS):
            transaction = Transaction(tenant_id)
            for key in keys[start : start + MAX_ACTIONS]:
                transaction.delete(key)
            self._store.commit(transaction)
        return len(keys)


_TEXT = "TEXT#"


def _prefix(place: Place) -> str:
    return f"{_TEXT}{place.attempt:03d}#{place.call:03d}#"


def _run_key(run: Run) -> Key:
    return run_key(run.tenant_id, run.run_id)


def _key(run: Run, place: Place) -> Key:
    return Key(_run_key(run).pk, f"{_prefix(place)}{place.offset:08d}")


def _between(run: Key, start: str, end: str) -> Expression:
    return Expression("#PK = :pk AND #SK BETWEEN :start AND :end", {"pk": run.pk, "start": start, "end": end})
