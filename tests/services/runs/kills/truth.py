"""Invariants of runs, budget and ledger when no work is left."""

from dataclasses import dataclass
from datetime import timedelta

from services.metering.counters.domain.amounts import without_zeros
from services.metering.ledger.domain.entries import LedgerEntry
from services.metering.ledger.table.entries import LedgerTable
from services.runs.runs.domain.lifecycle import MAX_LOST_ATTEMPTS
from services.runs.runs.domain.run import Call, CallId, Run
from services.runs.runs.table.storage import StoredBytes
from shared.events.runs import RunCancelled, RunCompleted, RunFailed
from shared.meters import Meter, total
from tests.services.metering.fixtures import counted
from tests.services.runs.examples import TENANT
from tests.services.runs.kills.clock import BEGINNING
from tests.services.runs.kills.functions import REQUESTS, TOKENS, Functions

_ENDS = {kind.TYPE for kind in (RunCompleted, RunFailed, RunCancelled)}
_PERIOD = "2026-11"


@dataclass(frozen=True)
class Truth:
    """The final state of one scenario."""

    functions: Functions
    runs: list[Run]
    """Ended runs, deleted ones included."""
    entries: dict[str, LedgerEntry]
    """The ledger's entries by id."""

    @classmethod
    def of(cls, functions: Functions) -> "Truth":
        """Return the budget."""
        end = functions.clock.now + timedelta(seconds=1)
        entries = LedgerTable(functions.ledger, TENANT).between(start=BEGINNING, end=end)
        return cls(functions, functions.ended_runs(), {entry.event_id: entry for entry in entries})

    def check(self) -> None:
        """Everything."""
        self.everything_has_ended()
        self.the_budget_is_what_the_runs_have_left()
        self.the_ledger_has_each_call_once()
        self.what_is_certain_is_true_and_what_is_not_is_enough()
        self.what_lies_in_the_bucket_is_counted()

    def everything_has_ended(self) -> None:
        """Check that each run has one published final state and at most three lost attempts."""
        living = self.functions.all_runs()
        assert all(run.status.final for run in living)
        assert {run.run_id for run in living} <= {run.run_id for run in self.runs}
        payload = [name.split(":")[0] for name, kind in self.functions.bus.published.items() if kind in _ENDS]
        assert sorted(payload) == sorted(run.run_id for run in self.runs)
        assert all(run.attempt <= MAX_LOST_ATTEMPTS + 1 for run in self.runs)
        assert not any(self.functions.entities.items(f"TENANT#{TENANT}#RUNS#OUTBOX"))

    def the_budget_is_what_the_runs_have_left(self) -> None:
        """Check that no call is open and no used token was returned."""
        budget = self.functions.sound.budgets.find(_PERIOD)
        if budget is None:
            assert not self.runs
            return
        assert budget.open == {}
        assert budget.slots is None or (budget.slots.executing, budget.slots.waiting) == ({}, 0)
        assert budget.tokens_left == TOKENS - sum(call.spent_tokens for _, call in self._calls())
        assert budget.requests_left == REQUESTS - sum(run.usage.get(Meter.REQUESTS, 0) for run in self.runs)

    def the_ledger_has_each_call_once(self) -> None:
        """Check that the ledger equals the runs and that the counters are its sum."""
        calls = {str(name): call for name, call in self._calls()}
        assert self.entries.keys() == calls.keys()
        for name, call in calls.items():
            assert self.entries[name].meters == without_zeros(call.meters), name
        sums = counted(self.functions.ledger, TENANT)
        assert (sums.events, sums.meters) == (
            len(calls),
            without_zeros(total(*(call.meters for call in calls.values()))),
        )
        assert sums.meters.get(Meter.REQUESTS, 0) == sum(bool(run.calls) for run in self.runs)

    def what_is_certain_is_true_and_what_is_not_is_enough(self) -> None:
        """Check that the ledger contains or covers the real usage."""
        calls = dict(self._calls())
        assert self.functions.provider.books.keys() <= calls.keys()
        for name, call in calls.items():
            really = self.functions.provider.books.get(name, 0)
            if call.usage_certain:
                assert call.spent_tokens == really, name
            else:
                assert call.spent_tokens >= really, name

    def what_lies_in_the_bucket_is_counted(self) -> None:
        """Check that every referenced object exists and that the storage counter is their sum."""
        kept = self.functions.all_runs()
        named = sum(size for run in kept for size in run.artifacts.values())
        assert StoredBytes(self.functions.sound.store, TENANT).read() == named
        deleted = {run.run_id for run in self.runs} - {run.run_id for run in kept}
        assert not [key for key in self.functions.bucket.objects if key.split("/")[3] in deleted]

    def _calls(self) -> list[tuple[CallId, Call]]:
        return [
            (CallId(run.run_id, number, call.number), call)
            for run in self.runs
            for number, attempt in enumerate(run.attempts, start=1)
            for call in attempt.calls
        ]
