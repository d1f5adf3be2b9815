"""The states of runs: their items without payloads, and without the calls that are stored beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.runs.errors import CancelRequested, LeaseLost, RunNotFound
from services.runs.partitions import SLICE
from services.runs.runs.domain.run import Attempt, InvalidOutput, Run, RunError, Status, TrialRef
from shared.freejson import encode, loads_stored
from shared.storage.codec import Codec, Conversion
from shared.storage.due import DueIndex
from shared.storage.items import Item, Key, Value
from shared.storage.table import TenantTable
from shared.storage.transaction import Expression
from shared.times import to_text

RUNS_DUE = DueIndex(SLICE, "RUN")
"""Runs by the time at which the reaper handles them, because no worker has leased them or the lease has expired."""
TOOLS_DUE = DueIndex(SLICE, "TOOLS")
"""Runs that wait for tools. No limit bounds their number, so they must not delay the search for lost leases."""
PAYLOADS = ("inputs", "metadata", "turns", "output")
"""Fields that users and models write. Their attributes have the same names."""

_OUTPUTS = Codec(InvalidOutput, names={"text": "output", "is_truncated": "truncated"})
_ERRORS = Codec(RunError, names={"output": "details"}, conversions={InvalidOutput: _OUTPUTS.conversion})
_ATTEMPTS = Codec(Attempt)
_TRIALS = Codec(TrialRef, names={"number": "trial", "max_tokens": "trial_max_tokens"})


def _to_text(parameters: Mapping[str, Any]) -> str:
    return encode(parameters).decode()


_PARAMETERS = Conversion(_to_text, loads_stored)
"""JSON as text, because parameters have numbers with fractions."""


class RunStates(TenantTable[Run]):
    """The states of one tenant's runs."""

    prefix, id_field = "RUN", "run_id"
    codec = Codec(
        Run,
        given=PAYLOADS,
        flat={"trial": _TRIALS},
        conversions={RunError: _ERRORS.conversion, Mapping[str, Any]: _PARAMETERS},
        always=("seq", "attempts"),
    )
    not_found = RunNotFound

    @property
    def attributes(self) -> Sequence[str]:
        """The attributes of a state."""
        return ("PK", "SK", *self.codec.attributes, *_TRIALS.attributes)

    def key(self, record_id: str = "") -> Key:
        """Return the key of a run, which has a partition of its own."""
        return Key(self.partition("RUN", record_id), "RUN")

    def indexed(self, record: Run) -> Mapping[str, Value]:
        """Return the places in the list and in the queue of the reaper, and the fencing token."""
        place = self.place(record.status, record.due_at, record.run_id) if record.due_at else {}
        list_pk = self.partition("LIST")
        return {"list_pk": list_pk, "list_sk": record.run_id, "attempt": record.attempt, **place}

    def place(self, status: Status, due_at: datetime, run_id: str) -> dict[str, Value]:
        """Return the place of a run in its queue."""
        return (TOOLS_DUE if status is Status.REQUIRES_ACTION else RUNS_DUE).place(due_at, run_id)

    def begun_attempt(self, attempt: Attempt) -> Sequence[Value]:
        """Return the attribute of a list with one attempt."""
        return [_ATTEMPTS.encode(attempt)]

    def stored(self, run: Run) -> Run:
        """Return the run as its item has it: without the calls that are stored beside it."""
        if not run.moved_attempts:
            return run
        moved = (replace(attempt, calls=()) for attempt in run.attempts[: run.moved_attempts])
        return replace(run, attempts=(*moved, *run.attempts[run.moved_attempts :]))

    def fence(
        self,
        run: Run,
        *,
        and_due: bool = False,
        and_call: bool = False,
        unless_cancelled: bool = False,
        next_seq: int | None = None,
    ) -> Expression:
        """Return the condition that no other attempt has taken or ended the run since."""
        values: dict[str, Value] = {"status_before": run.status, "attempt_before": run.attempt}
        terms = ["#status = :status_before", "#attempt = :attempt_before"]
        if and_due and run.due_at:
            terms.append("#due_at = :due_before")
            values["due_before"] = to_text(run.due_at)
        if and_call and run.open_call:
            terms.append("#open_call.#number = :call_before")
            values["call_before"] = run.open_call.number
        elif and_call:
            terms.append("attribute_not_exists(#open_call)")
        if next_seq is not None:
            terms.append("#seq < :next_seq")
            values["next_seq"] = next_seq
        if unless_cancelled:
            terms.append("attribute_not_exists(#cancel_requested)")
        return Expression(" AND ".join(terms), values)

    def fence_error(self, run: Run, existing: Item | None) -> Exception:
        """Return the error for a refused fenced write."""
        is_unchanged = existing is not None and (existing["status"], existing["attempt"]) == (run.status, run.attempt)
        return CancelRequested() if is_unchanged and existing and existing.get("cancel_requested") else LeaseLost()

    def _given(self, item: Item) -> dict[str, object]:  # noqa: ARG002 — for runs with payloads
        return {"inputs": {}, "metadata": {}, "turns": (), "output": None}
