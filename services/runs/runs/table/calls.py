"""The calls of ended attempts, in one item for each attempt, once a run has many calls.

They are written in the transaction that moves them out of the run's item, and never changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from services.runs.errors import RunNotFound
from services.runs.partitions import CALLS, calls_key
from services.runs.runs.domain.run import Call, CallId, Run
from services.runs.runs.table.adjacent import AdjacentRows
from shared.storage.codec import Codec
from shared.storage.items import Item, Key
from shared.storage.transaction import Transaction


@dataclass(frozen=True, slots=True)
class _MovedCalls:
    """The calls of one attempt."""

    calls: tuple[Call, ...]


_CODEC = Codec(_MovedCalls)


class CallTable(AdjacentRows):
    """The calls that are stored beside the runs of one tenant."""

    def load(self, run: Run) -> Run:
        """Return the run with all its calls. Nothing is read for a run without moved attempts.

        Raises:
            RunNotFound: the run was deleted since it was read.
        """
        keys = {attempt: self._key(run.run_id, attempt) for attempt in range(1, run.moved_attempts + 1)}
        found = self.store.get_many(list(keys.values())) if keys else {}
        if len(found) < len(keys):
            raise RunNotFound
        return _with_calls(run, {attempt: _calls_in(found[key]) for attempt, key in keys.items()})

    def load_attempts(self, states: Mapping[str, Run], requested: Iterable[CallId]) -> dict[str, Run]:
        """Return these states by run id, with all calls of the attempts that the wanted calls belong to."""
        moved = {
            (call.run_id, call.attempt): self._key(call.run_id, call.attempt)
            for call in requested
            if (state := states.get(call.run_id)) and call.attempt <= state.moved_attempts
        }
        found = self.store.get_many(list(moved.values())) if moved else {}
        loaded = dict(states)
        for (run_id, attempt), key in moved.items():
            # A run that was deleted meanwhile was settled before its deletion.
            calls = _calls_in(found[key]) if key in found else ()
            loaded[run_id] = _with_calls(loaded[run_id], {attempt: calls})
        return loaded

    def move(self, transaction: Transaction, before: Run, after: Run) -> None:
        """Write the calls that a change moves out of the run's item, in the transaction of the change."""
        for number in range(before.moved_attempts + 1, after.moved_attempts + 1):
            moved = _MovedCalls(after.attempts[number - 1].calls)
            transaction.put({**self._key(after.run_id, number).attributes, **_CODEC.encode(moved)})

    def delete(self, run_id: str) -> None:
        """Delete all calls beside a run."""
        self.delete_below(run_id, CALLS)

    def _key(self, run_id: str, attempt: int) -> Key:
        return calls_key(self.tenant_id, run_id, attempt)


def _calls_in(item: Item) -> tuple[Call, ...]:
    return _CODEC.decode(item).calls


def _with_calls(run: Run, calls: Mapping[int, tuple[Call, ...]]) -> Run:
    """Return the run with these calls, by the number of their attempt."""
    if not calls:
        return run
    attempts = enumerate(run.attempts, start=1)
    return replace(run, attempts=tuple(replace(one, calls=calls.get(number, one.calls)) for number, one in attempts))
