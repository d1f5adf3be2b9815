"""The usage of calls, for reconciliation with the ledger, and its repair."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import reduce
from itertools import islice

from services.runs.runs.domain.events import usage_of
from services.runs.runs.domain.run import Call, CallId, Run
from services.runs.runs.table.listing import RunFilter
from services.runs.runs.table.runs import RunTable
from shared.drift import Tally, tallies_by_span, tally_of_call

_RUNS_PER_PAGE = 1_000


def tallies(
    runs: RunTable, *, start: datetime, end: datetime, after: str | None
) -> tuple[dict[str, Tally], str | None]:
    """Return the tallies of the calls of runs created in this time, newest first, and the cursor to continue from."""
    states = runs.listing.newest_states(RunFilter(start=start, end=end), after=after)
    # One run more than a page shows whether there is another page.
    tallies_of_runs = [(state.run_id, _tally_of(state)) for state in islice(states, _RUNS_PER_PAGE + 1)]
    page = tallies_of_runs[:_RUNS_PER_PAGE]
    cursor = page[-1][0] if len(tallies_of_runs) > len(page) else None
    return tallies_by_span((run_id, tally) for run_id, tally in page if tally.calls), cursor


def _tally_of(run: Run) -> Tally:
    calls = (tally_of_call(str(call_id), call.meters) for call_id, call in run.ended_calls)
    return reduce(Tally.plus, calls, Tally())


def calls_of(runs: RunTable, span: str) -> Iterator[tuple[CallId, Call]]:
    """Return the ended calls of all runs whose ids begin with `span`."""
    for run in runs.listing.created_in(span):
        yield from run.ended_calls


def republish(runs: RunTable, calls: Iterable[CallId]) -> list[str]:
    """Publish the usage events of these calls again, unchanged, and return the ids of the published events."""
    requested = list(calls)
    states = runs.states_of_calls(requested)
    published: list[str] = []
    for call in requested:
        run = states.get(call.run_id)
        event = usage_of(run, call) if run else None
        if run and event:
            runs.publish(event)
            published.append(event.id)
    return published
