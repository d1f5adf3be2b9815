"""The calls of ended attempts, in one item for each attempt, once a run has many calls.

They are written in the transaction that moves them out of the run's item, and never changed.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from services.runs.errors import RunNotFound
from services.runs.partitions import CALLS, calls_key
from services.runs.runs.domain.run import Call, CallId, Run
from services.runs.runs.table.adjacent import delete_adjacent
from services.runs.runs.table.parts import call_to_item, calls_from_item
from shared.storage.items import Item, Reader
from shared.storage.store import Store


class CallTable:
    """The calls that are stored beside the runs of one slice."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def load(self, run: Run) -> Run:
        """Return the run with all its calls. Nothing is read for a run without moved attempts.

        Raises:
            RunNotFound: the run was deleted since it was read.
        """
        attempts = range(1, run.moved_attempts + 1)
        keys = {attempt: calls_key(run.tenant_id, run.run_id, attempt) for attempt in attempts}
        found = self._store.get_many(list(keys.values())) if keys else {}
        if len(found) < len(keys):
            raise RunNotFound
        return _with_calls(run, {attempt: _calls_in(found[key]) for attempt, key in keys.items()})

    def load_attempts(self, tenant_id: str, states: Mapping[str, Run], requested: Iterable[CallId]) -> dict[str, Run]:
        """Return these states by run id, with all calls of the attempts that the wanted calls belong to."""
        moved = {
            (call.run_id, call.attempt): calls_key(tenant_id, call.run_id, call.attempt)
            for call in requested
            if (state := states.get(call.run_id)) and call.attempt <= state.moved_attempts
        }
        found = self._store.get_many(list(moved.values())) if moved else {}
        loaded = dict(states)
        for (run_id, attempt), key in moved.items():
            # A run that was deleted meanwhile was settled before its deletion.
            calls = _calls_in(found[key]) if key in found else ()
            loaded[run_id] = _with_calls(loaded[run_id], {attempt: calls})
        return loaded

    def delete(self, tenant_id: str, run_id: str) -> None:
        """Delete all calls beside a run."""
        delete_adjacent(self._store, tenant_id, run_id, prefix=CALLS)


def moved_items(before: Run, after: Run) -> Iterator[Item]:
    """Return the items with the calls that this change moves out of the run's item."""
    for number in range(before.moved_attempts + 1, after.moved_attempts + 1):
        calls = after.attempts[number - 1].calls
        key = calls_key(after.tenant_id, after.run_id, number)
        yield {**key.attributes, "calls": [call_to_item(call) for call in calls]}


def _calls_in(item: Item) -> tuple[Call, ...]:
    return calls_from_item(Reader(item))


def _with_calls(run: Run, calls: Mapping[int, tuple[Call, ...]]) -> Run:
    """Return the run with these calls, by the number of their attempt."""
    if not calls:
        return run
    attempts = enumerate(run.attempts, start=1)
    return replace(run, attempts=tuple(replace(one, calls=calls.get(number, one.calls)) for number, one in attempts))
