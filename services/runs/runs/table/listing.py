"""Lists of a tenant's runs, newest first, from the `list` index."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from services.runs.errors import RunNotFound
from services.runs.runs.domain.run import Run, Status
from services.runs.runs.table.calls import CallTable
from services.runs.runs.table.items import RunItems
from services.runs.runs.table.states import RunStates
from shared.deadline import remaining_s
from shared.ids import first_at
from shared.storage.items import Item, key_of
from shared.storage.listing import MAX_PAGE_BYTES
from shared.storage.table import TenantRows
from shared.storage.transaction import Expression

_BATCH_SIZE = 25
"""The number of listed runs that are in memory at the same time; each can have 300 KB."""
_MAX_SCANNED = 1_000
"""The number of runs that one page checks at most when few match its filter."""
_MIN_TIME_S = 1.0
"""A page ends when less remains of the invocation, so that a filter that lets few runs pass cannot use all of it."""


@dataclass(frozen=True, slots=True)
class RunFilter:
    """The filter of a list. None matches everything."""

    status: Status | None = None
    agent_id: str | None = None
    project_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    """The exclusive end of the creation times."""
    metadata: tuple[str, str] | None = None
    """A key and its value."""
    experiment_id: str | None = None
    """The experiment whose runs match. Without it, the runs of experiments do not match."""


class RunListing(TenantRows):
    """The lists of one tenant's runs."""

    def __init__(self, runs: RunItems, calls: CallTable) -> None:
        super().__init__(runs.store, runs.tenant_id)
        self._runs = runs
        self._states = RunStates(runs.store, runs.tenant_id)
        self._calls = calls

    def page(
        self,
        run_filter: RunFilter,
        *,
        limit: int,
        after: str | None,
        bytes_of: Callable[[Run], int] = lambda _: 0,
    ) -> tuple[list[Run], str | None]:
        """Return a page of runs, newest first, and the cursor of the next one; None on the last page.

        A page can be short without being the last one: a filter lets few runs pass, the runs are large, or little time
        remains. The bucket is not read: a page has only the sizes of large inputs, metadata and outputs, and no large
        turns.

        Args:
            run_filter: the filter.
            limit: the maximum number of runs.
            after: the cursor of this page; None begins with the newest run.
            bytes_of: returns the size of a run in the response.
        """
        page: list[Run] = []
        page_bytes, last_seen = 0, None
        for scanned, (run_id, run) in enumerate(self._scan(run_filter, after=after)):
            if len(page) == limit or scanned == _MAX_SCANNED or (scanned and remaining_s() < _MIN_TIME_S):
                return page, last_seen
            if run and _matches(run, run_filter) and _matches_metadata(run, run_filter):
                page_bytes += bytes_of(run)
                if page and page_bytes > MAX_PAGE_BYTES:
                    return page, last_seen
                page.append(run)
            last_seen = run_id
        return page, None

    def ids_with_due(self, *, before: str | None) -> Iterator[tuple[str, bool]]:
        """Yield the ids of the tenant's runs, newest first, each with whether the reaper checks it.

        It does until the run has ended, except while the run waits for a slot or is quarantined.

        Args:
            before: the id to go on from, itself excluded; None begins with the newest run.
        """
        bounds = _range_of(RunFilter(), after=before)
        for item in self._between(*bounds, only=("PK", "SK", "list_sk", "due_pk")):
            yield str(item["list_sk"]), "due_pk" in item

    def created_in(self, span: str) -> Iterator[Run]:
        """Return the states of the runs whose ids begin with `span`, newest first, with all their calls."""
        return self._with_calls(map(self._states.decode, self._between(span, f"{span}~", only=self._states.attributes)))

    def newest_states(self, run_filter: RunFilter, *, after: str | None) -> Iterator[Run]:
        """Return the states of the runs in the filter's time range, newest first, with all their calls."""
        start, before = _range_of(run_filter, after=after)
        return self._with_calls(map(self._states.decode, self._between(start, before, only=self._states.attributes)))

    def _scan(self, run_filter: RunFilter, *, after: str | None) -> Iterator[tuple[str, Run | None]]:
        """Yield the ids of the runs of this time, newest first, each with the run if the filter lets its state pass."""
        start, before = _range_of(run_filter, after=after)
        if run_filter == RunFilter(start=run_filter.start, end=run_filter.end):
            yield from ((run.run_id, run) for run in self._listed_runs(self._between(start, before)))
            return
        states = map(self._states.decode, self._between(start, before, only=self._states.attributes))
        while some := list(islice(states, _BATCH_SIZE)):
            passing = [self._runs.key(state.run_id) for state in some if _matches(state, run_filter)]
            runs = {run.run_id: run for run in self._listed_runs(self.store.get_many(passing).values())}
            yield from ((state.run_id, runs.get(state.run_id)) for state in some)

    def _listed_runs(self, items: Iterable[Item]) -> Iterator[Run]:
        return self._with_calls(map(self._runs.listed, items))

    def _with_calls(self, runs: Iterable[Run]) -> Iterator[Run]:
        for run in runs:
            try:
                loaded = self._calls.load(run)
            except RunNotFound:
                continue  # It was deleted meanwhile.
            yield loaded

    def _between(self, start: str, before: str, *, only: Sequence[str] = ()) -> Iterator[Item]:
        if before < start:
            return  # DynamoDB rejects a BETWEEN whose lower bound is above the upper one.
        condition = Expression(
            "#list_pk = :pk AND #list_sk BETWEEN :start AND :before",
            {"pk": self.partition("LIST"), "start": start, "before": before},
        )
        resume_after: Item | None = None
        while True:
            page = self.store.query(condition, index="list", newest_first=True, limit=100, resume_after=resume_after)
            # BETWEEN includes both bounds; the upper one was returned before, or is the exclusive end of the range.
            keys = [key_of(item) for item in page.items if item["list_sk"] != before]
            for first in range(0, len(keys), _BATCH_SIZE):
                some = keys[first : first + _BATCH_SIZE]
                items = self.store.get_many(some, only=only)
                yield from (items[key] for key in some if key in items)
            resume_after = page.resume_after
            if resume_after is None:
                return


def _matches(run: Run, run_filter: RunFilter) -> bool:
    """Return whether a state matches; the times are part of the query instead."""
    return (
        run_filter.status in {None, run.status}
        and run_filter.agent_id in {None, run.agent_id}
        and run_filter.project_id in {None, run.project_id}
        and run_filter.experiment_id == (run.trial.experiment_id if run.trial else None)
    )


def _matches_metadata(run: Run, run_filter: RunFilter) -> bool:
    """Return whether the metadata matches, of a run that was loaded with it. Metadata in the bucket is not read."""
    return run_filter.metadata is None or run.metadata.get(run_filter.metadata[0]) == run_filter.metadata[1]


def _range_of(run_filter: RunFilter, *, after: str | None) -> tuple[str, str]:
    """Return the first id of the runs in the filter's time range, and the id that excludes its end."""
    end = first_at(run_filter.end) if run_filter.end else "~"
    before = min(after, f"run_{end}") if after else f"run_{end}"
    return f"run_{first_at(run_filter.start)}" if run_filter.start else "run_", before
